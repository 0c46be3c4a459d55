-- For every (client, date) with staged rows: the runs that staged them, those whose rows are live, the CPM in force.
-- `media status` runs this query too, from this file (loader/nightly/models.py).
with run_days as (
    select * from {{ ref('stg_run_days') }}
),

runs as (
    select * from {{ ref('stg_runs') }}
),

live_run_days as (
    select * from {{ ref('int_live_run_days') }}
),

cpm_periods as (
    select * from {{ ref('stg_cpm_periods') }}
),

-- Names come from all runs that count, figures only from runs with live rows.
staged as (
    select
        run_days.client_id,
        run_days.date,
        array_agg(run_days.run_id order by run_days.run_id) as staged_run_ids
    from run_days
    inner join runs on run_days.run_id = runs.run_id
    group by run_days.client_id, run_days.date
),

live as (
    select
        live_run_days.client_id,
        live_run_days.date,
        array_agg(live_run_days.run_id order by live_run_days.run_id) as live_run_ids
    from live_run_days
    group by live_run_days.client_id, live_run_days.date
),

days as (
    select
        staged.client_id,
        staged.date,
        staged.staged_run_ids,
        cpm_periods.cpm,
        coalesce(live.live_run_ids, array[]::uuid[]) as live_run_ids
    from staged
    left join live on staged.client_id = live.client_id and staged.date = live.date
    left join cpm_periods
        on
            staged.client_id = cpm_periods.client_id
            and staged.date >= cpm_periods.first_date
            and staged.date < cpm_periods.next_date
)

select * from days
