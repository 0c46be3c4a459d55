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

copies_marked as (
    select
        earliest_found.run_id,
        earliest_found.feed_location,
        earliest_found.file,
        earliest_found.key_date,
        earliest_found.key_client_id,
        earliest_found.client_from_key,
        earliest_found.covers,
        earliest_found.part,
        earliest_found.delivery,
        earliest_found.recency,
        case
            when
                earliest_found.redelivery = 'append'
                and not earliest_found.has_parts and not earliest_found.has_deliveries
                then nullif(earliest_found.earliest_run_id, earliest_found.run_id)
        end as copy_of_run_id
    from earliest_found
)

select * from copies_marked
