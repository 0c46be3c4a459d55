{#- What summed_rows() gave, as the columns of daily_metrics hold it. -#}
{% macro fitted_rows(sums) -%}
    {%- for name, kind in additive_figures().items() -%}
    {{ fitted_as(kind, sums ~ '.' ~ name) }} as {{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
