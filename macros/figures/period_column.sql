{#- The column of a mart that holds the first day of its period: date, week_start, month_start. -#}
{% macro period_column(period) -%}
    {{ 'date' if period == 'day' else period ~ '_start' }}
{%- endmacro %}
