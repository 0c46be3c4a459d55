{#- The name in a mart of a figure of daily_metrics: summaries call conversion_revenue revenue. -#}
{% macro figure_name(name, period) -%}
    {{ return({'conversion_revenue': 'revenue'}.get(name, name) if period != 'day' else name) }}
{%- endmacro %}
