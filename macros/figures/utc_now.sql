{#- Timestamps are kept in UTC, without a zone. -#}
{% macro utc_now() -%}
    (now() at time zone 'utc')::timestamp
{%- endmacro %}
