-- Tonight's work, frozen: the days whose fingerprint differs from the one they were last built from, with all that
-- they are to be built from. A load, a new rate or a retraction during the build waits for the next one.
{{ config(
    materialized='incremental', incremental_strategy='replace', full_refresh=false, on_schema_change='fail',
    pre_hook=[lock_marts(), "select media_ops.refresh_statistics()"],
    post_hook=["{{ forget_days_built() }}", "analyze {{ this }}"]
) }}

with compared as (
    select * from {{ ref('int_days_compared') }}
),

chosen as (
    select
        compared.client_id,
        compared.date,
        date_trunc('week', compared.date)::date as week_start,
        date_trunc('month', compared.date)::date as month_start,
        compared.fingerprint,
        compared.cpm,
        compared.live_run_ids,
        compared.staged_run_ids,
        compared.aliases_fingerprint,
        compared.names_may_vanish,
        '{{ invocation_id }}' as build_id
    from compared
    where compared.has_changed or {{ rebuild_asked_for('compared') }}
)

select * from chosen
