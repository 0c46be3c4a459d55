{#- Whether a day is to be built again although nothing about it changed: a mart that someone dropped, --full-refresh,
    or the vars rebuild_from, rebuild_to and rebuild_client. -#}
{% macro rebuild_asked_for(days) -%}
    exists (
        select 1
        from unnest(array[
            'campaigns', 'strategies', 'placements', 'creatives', 'daily_metrics', 'weekly_summaries',
            'monthly_summaries'
        ]) as marts (name)
        where to_regclass('media.' || marts.name) is null
    )
    {%- if flags.FULL_REFRESH %}
    or true
    {%- elif var('rebuild_from') or var('rebuild_to') or var('rebuild_client') %}
    or (
        {{ days }}.date >= '{{ var("rebuild_from") or "-infinity" }}'::date
        and {{ days }}.date <= '{{ var("rebuild_to") or "infinity" }}'::date
        {%- if var('rebuild_client') %}
        and {{ days }}.client_id = '{{ var("rebuild_client") }}'::uuid
        {%- endif %}
    )
    {%- endif -%}
{%- endmacro %}
