{#- The names of staged rows, as staged_campaign and so on. -#}
{% macro staged_names(rows) -%}
    {%- for level in levels() -%}
    {{ rows }}.{{ level }}_name as staged_{{ level }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
