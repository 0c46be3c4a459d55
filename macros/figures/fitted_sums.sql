{#- The figures of a summary. `summed`: the rows are already summed, so they are only fitted to their columns. -#}
{% macro fitted_sums(relation, period, summed=false) -%}
    {%- for alias, (name, kind) in mart_figures(period).items() -%}
    {%- set column = relation ~ '.' ~ name -%}
    {{ fitted_as(kind, column if summed else sum_or_null(column)) }} as {{ alias }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
