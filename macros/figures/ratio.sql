{#- numerator / denominator, exact; divided by zero it is null. -#}
{% macro ratio(numerator, denominator) -%}
    {{ numerator }}::numeric / nullif({{ denominator }}, 0)
{%- endmacro %}
