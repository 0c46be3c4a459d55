{#- The named columns of a relation, one below the other: columns_of('divided', additive_figures()). -#}
{% macro columns_of(relation, names) -%}
    {%- for name in names -%}
    {{ relation }}.{{ name }}
    {{- ',\n    ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
