{#- The first day of the period that a day is in. The one definition of a week: Monday to Sunday. `period`: day, or a unit
    of date_trunc (week, month, quarter, year). For another period, say here when it begins, and in period_end when it ends. -#}
{% macro period_start(period, day) -%}
    {%- if period == 'day' -%}
    {{ day }}
    {%- else -%}
    date_trunc('{{ period }}', {{ day }}::timestamp)::date
    {%- endif -%}
{%- endmacro %}
