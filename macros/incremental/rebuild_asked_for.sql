{#- True if a day is rebuilt even though nothing about it changed: a mart is missing (new, or someone dropped it), or
    --full-refresh, or the vars rebuild_from, rebuild_to and rebuild_client ask for it. -#}
{% macro rebuild_asked_for(days) -%}
    {%- set incremental_marts = marts() | selectattr('config.materialized', 'equalto', 'incremental') -%}
    {%- set missing = [] -%}
    {%- for mart in incremental_marts -%}
        {%- set name = api.Relation.create(schema=mart.schema, identifier=mart.alias) -%}
        {%- do missing.append("not exists (select 1 from pg_class where oid = to_regclass('" ~ name ~ "') and relkind = 'r')") -%}
    {%- endfor -%}
    ({{ missing | join(' or ') or 'false' }})
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
