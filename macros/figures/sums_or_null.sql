{#- The sum of every figure of daily_metrics; null if the figure is null in any row. -#}
{% macro sums_or_null(daily_metrics) -%}
    {%- for name in mart_figures('day') -%}
    {{ sum_or_null(daily_metrics ~ '.' ~ name) }} as {{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
