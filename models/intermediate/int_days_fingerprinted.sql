-- For every (client, date): everything that its figures depend on, and the fingerprint of it. This reads days, not
-- staged rows, so it is fast.
with days_staged as (
    select * from {{ ref('int_days_staged') }}
),

aliases as (
    select * from {{ ref('int_aliases_fingerprinted') }}
),

days as (
    select
        days_staged.client_id,
        days_staged.date,
        days_staged.staged_run_ids,
        days_staged.live_run_ids,
        days_staged.cpm,
        coalesce(aliases.aliases_fingerprint, '') as aliases_fingerprint
    from days_staged
    left join aliases on days_staged.client_id = aliases.client_id
),

fingerprinted as (
    select
        days.*,
        md5(json_build_array(
            {{ marts_version() }}, days.client_id, days.live_run_ids, days.staged_run_ids, days.cpm,
            days.aliases_fingerprint
        )::text) as fingerprint
    from days
)

select * from fingerprinted
