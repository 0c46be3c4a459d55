{#- The sum of every figure of staged rows, which are never null. -#}
{% macro summed_rows(rows) -%}
    {%- for name in additive_figures() -%}
    sum({{ rows }}.{{ name }}) as {{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
