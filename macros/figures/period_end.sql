{#- The last day of the period that begins on `start`. PostgreSQL intervals have no quarter. -#}
{% macro period_end(period, start) -%}
    ({{ start }} + interval '{{ {'quarter': '3 months'}.get(period, '1 ' ~ period) }}' - interval '1 day')::date
{%- endmacro %}
