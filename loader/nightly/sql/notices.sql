-- What deliveries made drop out of the figures, or count twice, since the last build: the run that did it (run_id), the
-- run whose rows are concerned (other_run_id), the client and the dates. loader/nightly/notices.py says what each kind means.
with runs as (
    {int_runs_ordered}
),

in_force as (
    {int_runs_in_force}
),

covered as (
    {int_days_covered}
),

live as (
    {int_live_run_days}
),

-- A later run replaces an earlier one of the same series: of the same part, or where there are deliveries, of the feed.
-- What replaces is then the whole delivery.
staged as (
    select
        runs.*,
        run_days.client_id,
        run_days.date,
        case when runs.has_deliveries then '' else runs.part end as series,
        case when runs.has_deliveries then runs.delivery else runs.run_id::text end as unit,
        in_force.run_id is not null as is_in_force,
        in_force.copy_of_run_id,
        live.run_id is not null as is_live,
        days_built.staged_run_ids is null or not runs.run_id = any(days_built.staged_run_ids) as is_new,
        coalesce(runs.run_id = any(days_built.live_run_ids), false) as was_live
    from runs
    inner join media_ops.run_days on runs.run_id = run_days.run_id
    left join in_force on runs.run_id = in_force.run_id
    left join live
        on run_days.run_id = live.run_id and run_days.client_id = live.client_id and run_days.date = live.date
    left join media_ops.days_built on run_days.client_id = days_built.client_id and run_days.date = days_built.date
),

-- The latest run that has rows of a day should be live. If not, a later run dropped the day.
latest_with_rows as (
    select distinct on (staged.feed_location, staged.series, staged.client_id, staged.date) staged.*
    from staged
    where staged.copy_of_run_id is null
    order by staged.feed_location, staged.series, staged.client_id, staged.date, staged.recency desc
),

latest_covering as (
    select distinct on (covered.feed_location, series, covered.client_id, covered.date)
        covered.feed_location,
        covered.client_id,
        covered.date,
        covered.run_id,
        case when runs.has_deliveries then '' else covered.part end as series
    from covered
    inner join runs on covered.run_id = runs.run_id
    order by covered.feed_location, series, covered.client_id, covered.date, covered.recency desc
),

-- The run of the same key that is in force now, and its span.
new_versions as (
    select
        earlier.run_id as earlier_run_id,
        in_force.run_id,
        least(min(run_days.date), min(in_force.key_date) filter (where in_force.covers = 'span')) as first_date,
        greatest(max(run_days.date), min(in_force.key_date) filter (where in_force.covers = 'span')) as last_date
    from runs as earlier
    inner join runs as later
        on
            earlier.feed_location = later.feed_location
            and earlier.file = later.file
            and (earlier.same_key = 'replaces' or earlier.sha256 = later.sha256)
    inner join in_force on later.run_id = in_force.run_id
    left join media_ops.run_days on in_force.run_id = run_days.run_id and in_force.covers = 'span'
    where earlier.run_id <> later.run_id
    group by earlier.run_id, in_force.run_id
),

dropped as (
    select
        case
            when new_versions.run_id is null then 'dropped by a span'
            when latest_with_rows.date between new_versions.first_date and new_versions.last_date
                then 'dropped by a version and its span'
            else 'dropped by a version'
        end as kind,
        coalesce(new_versions.run_id, latest_covering.run_id) as run_id,
        latest_with_rows.run_id as other_run_id,
        latest_with_rows.client_id,
        latest_with_rows.date,
        null::bigint as impressions
    from latest_with_rows
    left join new_versions on latest_with_rows.run_id = new_versions.earlier_run_id
    left join latest_covering
        on
            latest_with_rows.feed_location = latest_covering.feed_location
            and latest_with_rows.series = latest_covering.series
            and latest_with_rows.client_id = latest_covering.client_id
            and latest_with_rows.date = latest_covering.date
    where not latest_with_rows.is_live and (latest_with_rows.is_new or latest_with_rows.was_live)
),

-- A new run, or delivery, that replaces another one on some days.
units as (
    select
        staged.feed_location,
        staged.series,
        staged.client_id,
        staged.date,
        staged.unit,
        max(staged.recency) as recency,
        bool_or(staged.is_new) as is_new
    from staged
    where staged.is_in_force and staged.copy_of_run_id is null
    group by staged.feed_location, staged.series, staged.client_id, staged.date, staged.unit
),

replaced as (
    select
        units.*,
        lead(units.unit) over (
            partition by units.feed_location, units.series, units.client_id, units.date order by units.recency desc
        ) as replaced_unit
    from units
),

takeovers as (
    select distinct
        replaced.feed_location,
        replaced.series,
        replaced.unit,
        replaced.replaced_unit
    from replaced
    where replaced.is_new and replaced.replaced_unit is not null
),

spans_of_units as (
    select
        staged.feed_location,
        staged.series,
        staged.unit,
        min(staged.date) as first_date,
        max(staged.date) as last_date,
        (array_agg(staged.run_id order by staged.recency desc))[1] as run_id
    from staged
    where staged.is_in_force and staged.copy_of_run_id is null
    group by staged.feed_location, staged.series, staged.unit
),

left_out as (
    select
        'left out' as kind,
        spans_of_units.run_id,
        staged.run_id as other_run_id,
        staged.client_id,
        staged.date,
        null::bigint as impressions
    from takeovers
    inner join spans_of_units
        on
            takeovers.feed_location = spans_of_units.feed_location
            and takeovers.series = spans_of_units.series
            and takeovers.unit = spans_of_units.unit
    inner join staged
        on
            takeovers.feed_location = staged.feed_location
            and takeovers.series = staged.series
            and takeovers.replaced_unit = staged.unit
            and staged.date between spans_of_units.first_date and spans_of_units.last_date
    where staged.is_live
),

copies as (
    select
        'copy' as kind,
        staged.run_id,
        staged.copy_of_run_id as other_run_id,
        staged.client_id,
        staged.date,
        null::bigint as impressions
    from staged
    where staged.copy_of_run_id is not null and (staged.is_new or staged.was_live)
),

sums as (
    select
        'sum' as kind,
        staged.run_id,
        staged.run_id as other_run_id,
        staged.client_id,
        staged.date,
        summary_rows.impressions
    from staged
    inner join media_ops.summary_rows
        on
            staged.run_id = summary_rows.run_id
            and staged.client_id = summary_rows.client_id
            and staged.date = summary_rows.date
    where staged.is_live and staged.is_new
),

found as (
    select * from dropped
    union all
    select * from left_out
    union all
    select * from copies
    union all
    select * from sums
)

select
    found.kind,
    found.run_id::text,
    found.other_run_id::text,
    run.object_uri,
    other_run.object_uri,
    run.last_modified,
    other_run.last_modified,
    clients.name,
    array_agg(found.date order by found.date),
    sum(found.impressions)::bigint
from found
inner join media.ingestion_logs as run on found.run_id = run.id
inner join media.ingestion_logs as other_run on found.other_run_id = other_run.id
inner join media.clients on found.client_id = clients.id
where %(runs)s::uuid [] is null or found.run_id = any(%(runs)s) or found.other_run_id = any(%(runs)s)
group by found.kind, found.run_id, found.other_run_id, run.id, other_run.id, clients.id
order by run.run_number, other_run.run_number, found.kind, lower(clients.name)
