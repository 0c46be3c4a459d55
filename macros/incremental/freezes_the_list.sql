{#- Whether this command freezes its own work list. -#}
{% macro freezes_the_list() -%}
    {{ return('model.' ~ project_name ~ '.int_days_to_rebuild' in selected_resources) }}
{%- endmacro %}
