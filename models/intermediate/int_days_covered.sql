-- The (client, date)s that each run in force covers: those that it has rows of, and those in its span.
with runs_in_force as (
    select * from {{ ref('int_runs_in_force') }}
),

run_days as (
    select * from {{ ref('stg_run_days') }}
),

runs as (
    select runs_in_force.*
    from runs_in_force
    where not runs_in_force.is_copy
),

with_rows as (
    select
        runs.*,
        run_days.client_id,
        run_days.date
    from runs
    inner join run_days on runs.run_id = run_days.run_id
),

first_and_last as (
    select
        run_days.run_id,
        min(run_days.date) as first_date,
        max(run_days.date) as last_date
    from run_days
    group by run_days.run_id
),

-- No run of the feed has rows of an earlier or a later day, so such a day is zero anyway.
feeds as (
    select
        runs.feed_location,
        min(first_and_last.first_date) as first_date,
        max(first_and_last.last_date) as last_date
    from runs
    inner join first_and_last on runs.run_id = first_and_last.run_id
    group by runs.feed_location
),

-- covers: span. The date in the key belongs to the span, even if the file has no rows.
spans as (
    select
        runs.*,
        greatest(least(first_and_last.first_date, runs.key_date), feeds.first_date) as first_date,
        least(greatest(first_and_last.last_date, runs.key_date), feeds.last_date) as last_date
    from runs
    inner join feeds on runs.feed_location = feeds.feed_location
    left join first_and_last on runs.run_id = first_and_last.run_id
    where runs.covers = 'span' and coalesce(first_and_last.first_date, runs.key_date) is not null
),

-- PostgreSQL cannot estimate the next two steps. Materialized, they are joined by feed and date, never run by run.
dates_in_spans as materialized (
    select
        spans.*,
        spans.first_date + days.number as date
    from spans
    cross join generate_series(0, spans.last_date - spans.first_date) as days (number)
),

-- A span covers every client, or the one that the key names. Days on which no run has rows are zero anyway.
clients_with_rows as materialized (
    select distinct
        with_rows.feed_location,
        with_rows.client_id,
        with_rows.date
    from with_rows
    where with_rows.covers = 'span'
),

without_rows as (
    select
        dates_in_spans.*,
        clients_with_rows.client_id
    from dates_in_spans
    inner join clients_with_rows
        on
            dates_in_spans.feed_location = clients_with_rows.feed_location
            and dates_in_spans.date = clients_with_rows.date
            and (not dates_in_spans.client_from_key or dates_in_spans.key_client_id = clients_with_rows.client_id)
    left join run_days
        on
            dates_in_spans.run_id = run_days.run_id
            and clients_with_rows.client_id = run_days.client_id
            and dates_in_spans.date = run_days.date
    where run_days.run_id is null
),

covered as (
    select
        with_rows.run_id,
        with_rows.feed_location,
        with_rows.part,
        with_rows.delivery,
        with_rows.recency,
        with_rows.client_id,
        with_rows.date,
        true as has_rows
    from with_rows
    union all
    select
        without_rows.run_id,
        without_rows.feed_location,
        without_rows.part,
        without_rows.delivery,
        without_rows.recency,
        without_rows.client_id,
        without_rows.date,
        false as has_rows
    from without_rows
)

select * from covered
