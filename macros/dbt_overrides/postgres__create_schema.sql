{#- Creates a schema, but not those that `media migrate` creates: if they are missing, tables and policies are, too. -#}
{% macro postgres__create_schema(relation) -%}
    {%- if relation.schema in ('media', 'media_models') -%}
        {{ exceptions.raise_compiler_error(
            'the database ' ~ target.dbname ~ ' has no schema ' ~ relation.schema ~ ': run `media migrate`'
        ) }}
    {%- endif -%}
    {{ dbt.postgres__create_schema(relation) }}
{%- endmacro %}
