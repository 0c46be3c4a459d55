{#- What a figure is called in a mart: the summaries say revenue for daily_metrics' conversion_revenue. -#}
{% macro figure_name(name, period) -%}
    {{ return({'conversion_revenue': 'revenue'}.get(name, name) if period != 'day' else name) }}
{%- endmacro %}
