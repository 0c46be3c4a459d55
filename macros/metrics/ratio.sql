{#- numerator / denominator, fitted; divided by zero it is null. -#}
{% macro ratio(numerator, denominator, precision, scale) -%}
    {{ fitted(numerator ~ '::numeric / nullif(' ~ denominator ~ ', 0)', precision, scale) }}
{%- endmacro %}
