{#- A figure as its column holds it; null if the column cannot hold it. `kind` is count or amount. -#}
{% macro fitted_as(kind, expression) -%}
    {{ fitted_count(expression) if kind == 'count' else fitted(expression, 12, 2) }}
{%- endmacro %}
