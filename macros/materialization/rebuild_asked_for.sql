{#- Whether a day is to be built again although nothing about it changed: --full-refresh, or the vars rebuild_from,
    rebuild_to and rebuild_client. -#}
{% macro rebuild_asked_for(days) -%}
    {%- if flags.FULL_REFRESH -%}
        true
    {%- elif var('rebuild_from') or var('rebuild_to') or var('rebuild_client') -%}
        (
            {{ days }}.date >= '{{ var("rebuild_from") or "-infinity" }}'::date
            and {{ days }}.date <= '{{ var("rebuild_to") or "infinity" }}'::date
            {%- if var('rebuild_client') %}
            and {{ days }}.client_id = '{{ var("rebuild_client") }}'::uuid
            {%- endif %}
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
