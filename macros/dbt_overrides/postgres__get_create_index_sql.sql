{#- Gives indexes the names in `indexes: [{name: …}]`. An index with this name is dropped first: when dbt swaps a table,
    the old table's index still has the name. An index without a name is created as dbt does it. -#}
{% macro postgres__get_create_index_sql(relation, index_dict) -%}
    {%- if 'name' not in index_dict -%}
        {{ dbt.postgres__get_create_index_sql(relation, index_dict) }}
    {%- else -%}
    drop index if exists {{ relation.schema }}.{{ index_dict['name'] }};
    create {{ 'unique ' if index_dict.get('unique') }}index {{ index_dict['name'] }}
    on {{ relation }} ({{ index_dict['columns'] | join(', ') }})
    {%- endif -%}
{%- endmacro %}
