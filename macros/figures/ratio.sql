{#- numerator / denominator, not rounded; null if the denominator is 0. -#}
{% macro ratio(numerator, denominator) -%}
    {{ numerator }}::numeric / nullif({{ denominator }}, 0)
{%- endmacro %}
