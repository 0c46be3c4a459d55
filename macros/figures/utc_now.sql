{#- The current time: timestamps are stored in UTC, without a time zone. -#}
{% macro utc_now() -%}
    (now() at time zone 'utc')::timestamp
{%- endmacro %}
