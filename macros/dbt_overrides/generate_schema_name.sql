{#- Names schemas as in dbt_project.yml, without the target's schema as a prefix. dbt calls it when it parses the project,
    so this is where a target of another schema is refused, whatever the command. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- do refuse_other_targets() -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
