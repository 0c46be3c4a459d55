{#- Locks the marts until the end of the transaction. The lock is taken before the statement that reads, so that of two
    builds the later one reads what the earlier one wrote. Summaries only read the other marts, so they share the lock,
    and one build makes its summaries in parallel. Each summary has its own lock, too, so a second build still waits. -#}
{% macro lock_marts() -%}
    {%- if model is defined and model.config.get('meta', {}).get('period', 'day') != 'day' and freezes_the_list() -%}
    select
        pg_advisory_xact_lock_shared(hashtext('media marts')),
        pg_advisory_xact_lock(hashtext('media {{ model.name }}'))
    {%- else -%}
    select pg_advisory_xact_lock(hashtext('media marts'))
    {%- endif -%}
{%- endmacro %}
