{#- The marts: the incremental models and tables of models/marts/, as dbt's graph has them. The one list of them: it says
    what has to exist, what has to succeed before a build is recorded, and what is filled when it is new. -#}
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
