{#- Every ratio, rounded half away from zero for its column, from the columns of exact_ratios(). -#}
{% macro fitted_ratios() -%}
    {%- for name, (_, _, scale) in ratios().items() -%}
    {{ fitted('exact_' ~ name, 12, scale) }} as {{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
