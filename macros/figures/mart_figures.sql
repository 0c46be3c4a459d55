{#- The figures of a mart that add up: those of the rows, and the spend. The summaries say revenue for
    conversion_revenue. Returns {name in the mart: [name in daily_metrics, kind]}. -#}
{% macro mart_figures(period) -%}
    {%- set figures = {} -%}
    {%- for name, kind in dict(additive_figures(), spend='money').items() -%}
        {%- do figures.update({(name if period == 'day' else name | replace('conversion_revenue', 'revenue')): [name, kind]}) -%}
    {%- endfor -%}
    {{ return(figures) }}
{%- endmacro %}
