{#- Every ratio, exact, as exact_ctr and so on; divided by zero it is null. `revenue` is the name of the revenue here. -#}
{% macro exact_ratios(revenue='revenue') -%}
    {%- for name, (numerator, denominator, _) in ratios().items() -%}
    {{ ratio(numerator | replace('revenue', revenue), denominator) }} as exact_{{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
