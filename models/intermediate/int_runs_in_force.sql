-- Which of the runs that count are in force, and which of those are copies of another one.
with runs as (
    select * from {{ ref('int_runs_ordered') }}
),

-- Of each key the run that began last is in force; with same_key: adds, of each content that the key had.
numbered as (
    select
        runs.*,
        row_number() over (
            partition by runs.feed_location, runs.file, case when runs.same_key = 'adds' then runs.sha256 end
            order by runs.run_number desc
        ) as latest_first
    from runs
),

in_force as (
    select numbered.*
    from numbered
    where numbered.latest_first = 1
),

-- In an append feed without groups, files with the same content are the same part: the earliest counts.
earliest_found as (
    select
        in_force.*,
        first_value(in_force.run_id) over (
            partition by
                in_force.feed_location, in_force.sha256,
                case when in_force.client_from_key then in_force.key_client_id end
            order by in_force.recency
        ) as earliest_run_id
    from in_force
),

copies_found as (
    select
        earliest_found.*,
        earliest_found.redelivery = 'append'
        and not earliest_found.has_parts
        and not earliest_found.has_deliveries
        and earliest_found.earliest_run_id <> earliest_found.run_id as is_copy
    from earliest_found
),

marked as (
    select
        copies_found.run_id,
        copies_found.feed_location,
        copies_found.file,
        copies_found.key_date,
        copies_found.key_client_id,
        copies_found.client_from_key,
        copies_found.covers,
        copies_found.part,
        copies_found.delivery,
        copies_found.recency,
        copies_found.is_copy,
        case when copies_found.is_copy then copies_found.earliest_run_id end as copy_of_run_id
    from copies_found
)

select * from marked
