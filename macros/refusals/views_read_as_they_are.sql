{#- The views that a command reads, directly or through other views, but does not create. -#}
{% macro views_read_as_they_are(graph, selected) -%}
    {%- set views, seen, next = [], [], selected | list -%}
    {%- for _ in graph.nodes -%}
        {%- set current = next | unique | reject('in', seen) | list -%}
        {%- do seen.extend(current) -%}
        {%- do next.clear() -%}
        {%- for id in current if id in graph.nodes -%}
            {%- for parent in graph.nodes[id].depends_on.nodes if graph.nodes.get(parent, {}).get('config', {}).get('materialized') in ('view', 'ephemeral') -%}
                {%- do next.append(parent) -%}
                {%- if parent not in selected and graph.nodes[parent].config.materialized == 'view' -%}
                    {%- do views.append(graph.nodes[parent].schema ~ '.' ~ graph.nodes[parent].alias) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(views | unique | list) }}
{%- endmacro %}
