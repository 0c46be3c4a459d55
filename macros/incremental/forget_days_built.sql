{#- Marks the days of the work list as not built, before anything is built: if the build dies, they stay marked, and the
    next build recomputes them. A day that has no row yet gets one. -#}
{% macro forget_days_built() -%}
    {%- if not flags.EMPTY -%}
    insert into {{ build_table('days_built') }} as days_built
        (client_id, date, fingerprint, staged_run_ids, aliases_fingerprint)
    select client_id, date, null, array[]::uuid[], ''
    from {{ build_table('int_days_to_rebuild') }}
    where client_id in (select id from {{ api.Relation.create(database=target.database, schema='media', identifier='clients') }})
    on conflict (client_id, date) do update set fingerprint = null where days_built.fingerprint is not null
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
