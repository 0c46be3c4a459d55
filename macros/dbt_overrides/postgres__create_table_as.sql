{#- A new mart, in one transaction: rows first, keys after. A key added to a filled table checks its rows in one pass; one
    that is there before checks row by row, daily_metrics' foreign keys five times each. Every other table is created
    as dbt does it. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if temporary or config.get('incremental_strategy') != 'sync' or config.get('materialized') != 'incremental'
        or not config.get('contract').enforced -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
        {%- if not temporary and model.path.startswith('marts/') and config.get('materialized') == 'incremental' %}
        {{ forget_all_days() }}
        {%- endif -%}
    {%- else -%}
        {%- set columns, keys = {}, [] -%}
        {%- for column in model.columns.values() -%}
            {%- set at_once = [] -%}
            {%- set has_foreign_key = column.constraints | selectattr('type', 'equalto', 'foreign_key') | list -%}
            {%- for constraint in column.constraints -%}
                {%- if constraint.type == 'foreign_key' -%}
                    {%- set actions = column.constraints | selectattr('type', 'equalto', 'custom') | map(attribute='expression') -%}
                    {%- do keys.append(
                        'foreign key (' ~ column.name ~ ') references ' ~ constraint.to ~ ' ('
                        ~ constraint.to_columns | join(', ') ~ ') ' ~ actions | join(' ')
                    ) -%}
                {%- elif constraint.type in ('primary_key', 'unique') -%}
                    {%- do keys.append(constraint.type | replace('_', ' ') ~ ' (' ~ column.name ~ ')') -%}
                {%- elif constraint.type != 'custom' or not has_foreign_key -%}
                    {%- do at_once.append(constraint) -%}
                {%- endif -%}
            {%- endfor -%}
            {%- do columns.update({column.name: dict(column, constraints=at_once)}) -%}
        {%- endfor -%}
        {%- set keys = keys + adapter.render_raw_model_constraints(raw_constraints=model.constraints) -%}
    {{ get_assert_columns_equivalent(sql) }}
    create table {{ relation }} (
        {{ adapter.render_raw_columns_constraints(raw_columns=columns) | join(',\n        ') }}
    );
    insert into {{ relation }} (
    {{ get_select_subquery(sql) }}
    );
    select media_ops.protect_mart('{{ relation }}'); -- before statistics: there must be none of names
    analyze {{ relation }};
    {%- if keys %}
    alter table {{ relation }}
        add {{ keys | join(',\n        add ') }};
    {%- endif %}
    {{ forget_all_days() }}
    {%- endif -%}
{%- endmacro %}
