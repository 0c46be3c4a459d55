-- Compares every day with what it was last built from. Days that differ have to be rebuilt.

with days as (
    select * from {{ ref('int_days_fingerprinted') }}
),

days_built as (
    select * from {{ ref('stg_days_built') }}
),

compared as (
    select
        coalesce(days.client_id, days_built.client_id) as client_id,
        coalesce(days.date, days_built.date) as date,
        days.fingerprint,
        days.cpm,
        coalesce(days.live_run_ids, array[]::uuid[]) as live_run_ids,
        coalesce(days.staged_run_ids, array[]::uuid[]) as staged_run_ids,
        coalesce(days.aliases_fingerprint, '') as aliases_fingerprint,
        -- If a run was retracted or an alias changed, names may no longer occur in any run. After a build that did
        -- not finish, it is unknown which names it inserted.
        coalesce(
            days_built.fingerprint is null
            or not days_built.staged_run_ids <@ coalesce(days.staged_run_ids, array[]::uuid[])
            or days_built.aliases_fingerprint <> coalesce(days.aliases_fingerprint, ''),
            false
        ) and days_built.client_id is not null as names_may_vanish,
        coalesce(days.fingerprint <> days_built.fingerprint, true) as has_changed -- null: new, gone or unfinished
    from days
    full join days_built on days.client_id = days_built.client_id and days.date = days_built.date
)

select * from compared
