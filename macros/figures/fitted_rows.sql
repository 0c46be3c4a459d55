{#- The columns of summed_rows(), rounded and cast to the types of daily_metrics. -#}
{% macro fitted_rows(sums) -%}
    {%- for name, kind in additive_figures().items() -%}
    {{ fitted_as(kind, sums ~ '.' ~ name) }} as {{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
