{#- Taken before the statement that reads, held to the end of the transaction: of two builds the later one reads
    what the earlier one wrote. -#}
{% macro lock_marts() -%}
    select pg_advisory_xact_lock(hashtext('media marts'))
{%- endmacro %}
