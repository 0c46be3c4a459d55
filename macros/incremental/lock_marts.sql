{#- Taken before the statement that reads, held to the end of the transaction: of two builds the later one reads
    what the earlier one wrote. A summary only reads the other marts: one build makes its summaries side by side, and of
    two builds the later one still waits for the earlier one's. -#}
{% macro lock_marts() -%}
    {%- if model is defined and model.config.get('meta', {}).get('period', 'day') != 'day' and freezes_the_list() -%}
    select
        pg_advisory_xact_lock_shared(hashtext('media marts')),
        pg_advisory_xact_lock(hashtext('media {{ model.name }}'))
    {%- else -%}
    select pg_advisory_xact_lock(hashtext('media marts'))
    {%- endif -%}
{%- endmacro %}
