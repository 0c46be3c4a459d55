{#- Says of the days of the list, before anything is built, that what was remembered no longer holds. A build that dies
    half way leaves them so, and the next one takes them up. Days without a row yet get one that says the same. -#}
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
