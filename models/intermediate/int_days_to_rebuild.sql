-- The work of this build, frozen: the days whose fingerprint differs from what they were last built from, with
-- everything that they are built from. A load, a CPM change or a retraction during the build waits for the next build.
{{ config(
    materialized='work_list', pre_hook=[lock_marts(), "select media_ops.refresh_statistics()"],
    post_hook=["{{ forget_days_built() }}", "analyze {{ this }}"]
) }}

with compared as (
    select * from {{ ref('int_days_compared') }}
),

chosen as (
    select
        compared.*,
        compared.has_changed or {{ rebuild_asked_for('compared') }} as is_chosen
    from compared
),

frozen as (
    select
        chosen.client_id,
        chosen.date,
        chosen.fingerprint,
        chosen.cpm,
        chosen.live_run_ids,
        chosen.staged_run_ids,
        chosen.aliases_fingerprint,
        chosen.names_may_vanish or {{ flags.FULL_REFRESH }} as names_may_vanish,
        -- If every day is recomputed, all other rows of a mart are out of date.
        (select bool_and(every_day.is_chosen) from chosen as every_day) as is_everything,
        '{{ invocation_id }}' as build_id
    from chosen
    where chosen.is_chosen
)

select * from frozen
