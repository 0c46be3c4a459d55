{#- Says of the days of the list, before anything is built, that what was remembered no longer holds. A build that dies
    half way leaves them so, and the next one takes them up. Days without a row yet get one that says the same. The
    tables are named, not referred to: every mart may call this, and not every mart depends on the list by itself. -#}
{% macro forget_days_built() -%}
    {%- set list = api.Relation.create(database=target.database, schema='media_models', identifier='int_days_to_rebuild') -%}
    {%- set built = api.Relation.create(database=target.database, schema='media_ops', identifier='days_built') -%}
    {%- set clients = api.Relation.create(database=target.database, schema='media', identifier='clients') -%}
    {%- if not flags.EMPTY -%}
    insert into {{ built }} as days_built
        (client_id, date, fingerprint, staged_run_ids, aliases_fingerprint)
    select client_id, date, null, array[]::uuid[], ''
    from {{ list }}
    where client_id in (select id from {{ clients }})
    on conflict (client_id, date) do update set fingerprint = null where days_built.fingerprint is not null
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
