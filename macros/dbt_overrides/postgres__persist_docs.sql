{#- Writes only those comments that differ from the current ones: a build that changes nothing writes none. -#}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- set wanted = {'': model.description} -%}
    {%- for column in model.columns.values() -%}
        {%- do wanted.update({column.name: column.description}) -%}
    {%- endfor -%}
    {%- set existing -%}
        select '' as name, coalesce(obj_description('{{ relation }}'::regclass, 'pg_class'), '') as description
        union all
        select attname, coalesce(col_description(attrelid, attnum), '')
        from pg_attribute where attrelid = '{{ relation }}'::regclass and attnum > 0 and not attisdropped
    {%- endset -%}
    {%- set changes = [] -%}
    {#- only columns that the model names: another login may have added one with a name that is SQL #}
    {%- for name, description in run_query(existing).rows if name in wanted and description != wanted[name] | trim -%}
        {%- set object = 'column ' ~ relation ~ '.' ~ adapter.quote(name) if name else relation.type ~ ' ' ~ relation -%}
        {%- do changes.append('comment on ' ~ object ~ ' is ' ~ postgres_escape_comment(wanted[name] | trim)) -%}
    {%- endfor -%}
    {%- if changes -%}
        {%- do run_query(changes | join('; ')) -%}
    {%- endif -%}
{%- endmacro %}
