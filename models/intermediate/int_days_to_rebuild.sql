-- Tonight's work, frozen: the days whose fingerprint differs from the one they were last built from, with all that
-- they are to be built from. A load, a new rate or a retraction during the build waits for the next one.
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
        -- Every day is recomputed: whatever a mart holds beside what its model then returns is out of date.
        (select bool_and(other.is_chosen) from chosen as other) as is_everything,
        '{{ invocation_id }}' as build_id
    from chosen
    where chosen.is_chosen
)

select * from frozen
