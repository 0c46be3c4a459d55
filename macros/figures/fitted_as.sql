{#- A figure, rounded and cast to the type of its column; null if it does not fit. `kind` is count or amount. -#}
{% macro fitted_as(kind, expression) -%}
    {{ fitted_count(expression) if kind == 'count' else fitted(expression, 12, 2) }}
{%- endmacro %}
