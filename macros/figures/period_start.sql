{#- The first day of the period that contains a day. The only definition of a week: Monday to Sunday. `period` is day, or
    a unit of date_trunc (week, month, quarter, year). For any other period, define its start here and its end in
    period_end. -#}
{% macro period_start(period, day) -%}
    {%- if period == 'day' -%}
    {{ day }}
    {%- else -%}
    date_trunc('{{ period }}', {{ day }}::timestamp)::date
    {%- endif -%}
{%- endmacro %}
