{#- Taken before the statement that reads, held to the end of the transaction: of two builds the later one reads
    what the earlier one wrote. A mart whose meta.lock is shared only reads the others: one build makes such marts side
    by side, and of two builds the later one still waits for the earlier one's. -#}
{% macro lock_marts() -%}
    {%- if model is defined and model.config.meta.lock == 'shared' and freezes_the_list() -%}
    select
        pg_advisory_xact_lock_shared(hashtext('media marts')),
        pg_advisory_xact_lock(hashtext('media {{ model.name }}'))
    {%- else -%}
    select pg_advisory_xact_lock(hashtext('media marts'))
    {%- endif -%}
{%- endmacro %}
