{#- Indexes bear the specification's names. Dropped first where they stand: after a swap the old table's index
    still holds the name. -#}
{% macro postgres__get_create_index_sql(relation, index_dict) -%}
    drop index if exists {{ relation.schema }}.{{ index_dict['name'] }};
    create {{ 'unique ' if index_dict.get('unique') }}index {{ index_dict['name'] }}
    on {{ relation }} ({{ index_dict['columns'] | join(', ') }})
{%- endmacro %}
