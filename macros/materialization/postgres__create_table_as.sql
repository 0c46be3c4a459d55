{#- A mart made anew, in its one transaction: rows first, keys after. A key added to rows that stand checks them in one
    pass; one that stands before checks row by row, daily_metrics' foreign keys five times each. The table comes from
    the clients' owner, its foreign key to clients too: loader/database/schema/33_new_marts.sql says why. -#}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
    {%- if temporary or not config.get('contract').enforced -%}
        {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
    {%- else -%}
        {%- set columns, figures, keys = {}, [], [] -%}
        {%- for column in model.columns.values() -%}
            {%- set constraints = {} -%}
            {%- for constraint in column.constraints -%}
                {%- do constraints.update({constraint.type: constraint}) -%}
            {%- endfor -%}
            {%- set required = 'not_null' in constraints or 'primary_key' in constraints -%}
            {%- do columns.update({column.name: column.data_type ~ (' not null' if required else '')}) -%}
            {%- if column.data_type != 'text' and not column.data_type.startswith('varchar') -%}
                {%- do figures.append(column.name) -%}
            {%- endif -%}
            {%- if 'primary_key' in constraints -%}
                {%- do keys.append('add primary key (' ~ column.name ~ ')') -%}
            {%- endif -%}
            {%- if 'foreign_key' in constraints and column.name != 'client_id' -%}
                {%- set key = constraints['foreign_key'] -%}
                {%- do keys.append(
                    'add foreign key (' ~ column.name ~ ') references ' ~ key.to ~ ' (' ~ key.to_columns | join(', ') ~ ') '
                    ~ constraints['custom'].expression
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {{ get_assert_columns_equivalent(sql) }}
    select media_ops.begin_mart('{{ relation.identifier }}', '{{ tojson(columns) }}');
    insert into {{ relation }} (
    {{ get_select_subquery(sql) }}
    );
    select media_ops.hand_over_mart('{{ relation.identifier }}'); -- with its foreign key to clients
    analyze {{ relation }} ({{ figures | join(', ') }}); -- of texts there are no statistics: media_ops.protect says why
    alter table {{ relation }}
        {{ keys | join(',\n        ') }}
    {%- endif -%}
{%- endmacro %}
