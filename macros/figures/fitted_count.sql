{#- A count as bigint; null if it does not fit. -#}
{% macro fitted_count(expression) -%}
    case when ({{ expression }}) <= 9223372036854775807 then ({{ expression }})::bigint end
{%- endmacro %}
