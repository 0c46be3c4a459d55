-- The (client, date)s that each run in force covers, and whether it has rows there.
with runs_in_force as (
    select * from {{ ref('int_runs_in_force') }}
),

run_days as (
    select * from {{ ref('stg_run_days') }}
),

runs as (
    select runs_in_force.*
    from runs_in_force
    where runs_in_force.copy_of_run_id is null
),

with_rows as (
    select
        runs.*,
        run_days.client_id,
        run_days.date
    from runs
    inner join run_days on runs.run_id = run_days.run_id
),

-- covers: span. The key's date belongs to the span, even if the file has no rows.
spans as (
    select
        runs.run_id,
        least(min(run_days.date), min(runs.key_date)) as first_date,
        greatest(max(run_days.date), min(runs.key_date)) as last_date
    from runs
    left join run_days on runs.run_id = run_days.run_id
    where runs.covers = 'span'
    group by runs.run_id
),

dates_in_spans as (
    select
        runs.*,
        spanned.date::date as date
    from spans
    inner join runs on spans.run_id = runs.run_id
    cross join generate_series(spans.first_date, spans.last_date, interval '1 day') as spanned (date)
),

-- A span covers every client, or the client that the key names. Only those with rows of the feed matter.
clients_with_rows as (
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
    left join run_days
        on
            dates_in_spans.run_id = run_days.run_id
            and clients_with_rows.client_id = run_days.client_id
            and dates_in_spans.date = run_days.date
    where
        run_days.run_id is null
        and (not dates_in_spans.client_from_key or dates_in_spans.key_client_id = clients_with_rows.client_id)
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
