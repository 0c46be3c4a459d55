{#- The marts: the incremental models and tables of models/marts/, from dbt's graph. There is no other list of them. It
    says which marts must exist, and which must succeed before a build is recorded. -#}
{% macro marts() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for node in graph.get('nodes', {}).values()
            if node.resource_type == 'model' and node.package_name == project_name and node.path.startswith('marts/')
            and node.config.materialized in ('incremental', 'table') -%}
            {%- do found.append(node) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
