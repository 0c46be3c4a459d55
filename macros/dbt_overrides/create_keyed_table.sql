{#- Creates a table that has a contract: with its not_null and check constraints, then the rows, then the keys. Its role may
    not create a foreign key to clients: media_ops.add_client_key does. -#}
{% macro create_keyed_table(relation, sql) -%}
    {%- set columns, keys, client_keys = {}, [], [] -%}
    {%- for column in model.columns.values() -%}
        {%- set name = adapter.quote(column.name) if column.quote else column.name -%}
        {%- set custom = column.constraints | selectattr('type', 'equalto', 'custom') | list -%}
        {%- set at_once = column.constraints | rejectattr('type', 'in', ['foreign_key', 'primary_key', 'unique', 'custom']) | list -%}
        {%- set foreign_keys = column.constraints | selectattr('type', 'equalto', 'foreign_key') | list -%}
        {%- for key in foreign_keys -%}
            {%- set constraint = relation.identifier ~ '_' ~ column.name ~ '_fkey' -%}
            {%- set referenced = key.to ~ ' (' ~ key.to_columns | join(', ') ~ ')' if key.to else key.expression -%}
            {%- if refers_to_clients(key) -%}
                {%- do client_keys.append((column.name, constraint)) -%}
            {%- else -%}
                {%- do keys.append(
                    'constraint ' ~ adapter.quote(constraint) ~ ' foreign key (' ~ name ~ ') references ' ~ referenced ~ ' '
                    ~ custom | map(attribute='expression') | join(' ')
                ) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for key in column.constraints | selectattr('type', 'in', ['primary_key', 'unique']) -%}
            {%- set suffix = '_pkey' if key.type == 'primary_key' else '_' ~ column.name ~ '_key' -%}
            {%- do keys.append(
                'constraint ' ~ adapter.quote(relation.identifier ~ suffix) ~ ' ' ~ key.type | replace('_', ' ') ~ ' (' ~ name ~ ')'
            ) -%}
        {%- endfor -%}
        {%- do columns.update({column.name: dict(column, constraints=at_once if foreign_keys else at_once + custom)}) -%}
    {%- endfor -%}
    {%- set keys = keys + adapter.render_raw_model_constraints(raw_constraints=model.constraints) -%}
    {{ get_assert_columns_equivalent(sql) }}
    create table {{ relation }} (
        {{ adapter.render_raw_columns_constraints(raw_columns=columns) | join(',\n        ') }}
    );
    insert into {{ relation }} (
    {{ get_select_subquery(sql) }}
    );
    {%- for column, constraint in client_keys %}
    select media_ops.add_client_key('{{ relation }}', '{{ column }}', '{{ constraint }}');
    {%- endfor %}
    {%- if model.path.startswith('marts/') %}
    select media_ops.protect_mart('{{ relation }}'); -- before analyze: there must be no statistics on names
    {%- endif %}
    analyze {{ relation }};
    {%- for _, constraint in client_keys %}
    alter table {{ relation }} validate constraint {{ adapter.quote(constraint) }}; -- if add_client_key did not check it
    {%- endfor %}
    {%- if keys %}
    alter table {{ relation }}
        add {{ keys | join(',\n        add ') }};
    {%- endif %}
{%- endmacro %}
