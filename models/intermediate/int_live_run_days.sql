-- The runs in force whose rows are live, for each (client, date).
with runs_in_force as (
    select * from {{ ref('int_runs_in_force') }}
),

run_days as (
    select * from {{ ref('stg_run_days') }}
),

-- In a replace feed, the newest file replaces the whole day of a client.
ranked as (
    select
        run_days.client_id,
        run_days.date,
        run_days.run_id,
        runs_in_force.redelivery,
        row_number() over (
            partition by run_days.client_id, run_days.date, runs_in_force.feed_location
            order by runs_in_force.last_modified desc, runs_in_force.object_key desc
        ) as newest_first
    from run_days
    inner join runs_in_force on run_days.run_id = runs_in_force.run_id
),

live as (
    select
        ranked.client_id,
        ranked.date,
        ranked.run_id
    from ranked
    where ranked.redelivery = 'append' or ranked.newest_first = 1
)

select * from live
