{#- A new mart, in one transaction: rows first, keys after. A key added to a filled table checks its rows in one pass; one
    that is there before checks row by row, daily_metrics' foreign keys five times each. Every other table is created
    as dbt does it. The columns of unique_key are not null, contract or none: a null equals nothing, so each build would
    add its row again. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set is_mart = not temporary and model.path.startswith('marts/') and config.get('materialized') == 'incremental' -%}
    {%- set is_synced = is_mart and config.get('incremental_strategy') == 'sync' -%}
    {%- if is_synced and config.get('contract').enforced -%}
        {{ create_synced_mart(relation, sql) }}
    {%- else -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- endif -%}
    {%- if is_synced %}
        {%- for column in natural_key() %}
    alter table {{ relation }} alter column {{ adapter.quote(column) }} set not null;
        {%- endfor -%}
    {%- endif -%}
    {%- if is_mart %}
    {{ forget_all_days() }}
    {%- endif -%}
{%- endmacro %}
