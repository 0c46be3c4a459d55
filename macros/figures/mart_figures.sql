{#- The figures of a mart, those of staged rows and spend: {name in the mart: [name in daily_metrics, kind]}. -#}
{% macro mart_figures(period) -%}
    {%- set figures = {} -%}
    {%- for name, kind in dict(additive_figures(), spend='amount').items() -%}
        {%- do figures.update({figure_name(name, period): [name, kind]}) -%}
    {%- endfor -%}
    {{ return(figures) }}
{%- endmacro %}
