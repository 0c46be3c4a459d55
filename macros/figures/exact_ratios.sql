{#- Every ratio, not rounded, as exact_ctr and so on; null if the denominator is 0. -#}
{% macro exact_ratios(period) -%}
    {%- for name, (numerator, denominator, _) in ratios().items() -%}
    {{ ratio(figure_name(numerator, period), figure_name(denominator, period)) }} as exact_{{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
