{#- Every ratio, exact, as exact_ctr and so on; divided by zero it is null. -#}
{% macro exact_ratios(period) -%}
    {%- for name, (numerator, denominator, _) in ratios().items() -%}
    {{ ratio(figure_name(numerator, period), figure_name(denominator, period)) }} as exact_{{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
