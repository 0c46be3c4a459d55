{#- Whether this invocation freezes a work list of its own. -#}
{% macro freezes_the_list() -%}
    {{ return('model.' ~ project_name ~ '.int_days_to_rebuild' in selected_resources) }}
{%- endmacro %}
