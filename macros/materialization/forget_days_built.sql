{#- Says of the days of a list, tonight's by default, before anything is built, that what was remembered no longer holds. A build that dies
    half way leaves them so, and the next one takes them up. Days without a row yet get one that says the same. -#}
{% macro forget_days_built(list=none) -%}
    {%- if not flags.EMPTY -%}
    insert into {{ source('media_ops', 'days_built') }} as days_built
        (client_id, date, fingerprint, staged_run_ids, aliases_fingerprint)
    select client_id, date, null, array[]::uuid[], ''
    from {{ list or this }}
    on conflict (client_id, date) do update set fingerprint = null where days_built.fingerprint is not null
    {%- else -%}
    select 1
    {%- endif -%}
{%- endmacro %}
