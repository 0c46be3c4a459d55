{#- The sum of every figure of daily_metrics, null where it is null in a row. -#}
{% macro sums_or_null(daily_metrics) -%}
    {%- for name in mart_figures('day') -%}
    {{ sum_or_null(daily_metrics ~ '.' ~ name) }} as {{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
