{#- Creates a mart in one transaction: rows first, keys after. A key that is added to a filled table checks all rows in
    one pass. A key that exists before checks each inserted row, in daily_metrics five foreign keys per row. Every other
    table is created as dbt does it. The columns of unique_key become not null even without a contract: null equals
    nothing, so each build would insert a row with a null again. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- set is_mart = not temporary and model.path.startswith('marts/') and config.get('materialized') == 'incremental' -%}
    {%- set is_synced = is_mart and config.get('incremental_strategy') == 'sync' -%}
    {%- set client_keys = [] -%}
    {%- for column in model.columns.values() -%}
        {%- for constraint in column.constraints if not temporary and refers_to_clients(constraint) -%}
            {%- do client_keys.append(constraint) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- if config.get('contract').enforced and (is_synced or client_keys) -%}
        {{ create_keyed_table(relation, sql) }}
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
