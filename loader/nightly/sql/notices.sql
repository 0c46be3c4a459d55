-- What deliveries made drop out of the figures, or count twice, since the last build: the run that did it (run_id), the
-- run whose rows are concerned (other_run_id), the client and the dates. loader/nightly/notices.py says what each kind means.
with days as materialized (
    {int_days_staged}
),

in_force as (
    {int_runs_in_force}
),

-- A later run replaces an earlier one of the same series: of the same part, or where there are deliveries, of the feed.
-- What replaces is then the whole delivery.
runs as materialized (
    select
        ordered.*,
        case when ordered.has_deliveries then '' else ordered.part end as series,
        case when ordered.has_deliveries then ordered.delivery else ordered.run_id::text end as unit,
        in_force.run_id is not null as is_in_force,
        in_force.copy_of_run_id
    from ({int_runs_ordered}) as ordered
    left join in_force on ordered.run_id = in_force.run_id
),

-- The days that wait for a build because of their runs.
waiting as materialized (
    select
        days.client_id,
        days.date,
        days.live_run_ids,
        coalesce(days_built.staged_run_ids, array[]::uuid []) as built_staged_run_ids,
        coalesce(days_built.live_run_ids, array[]::uuid []) as built_live_run_ids
    from days
    left join media_ops.days_built on days.client_id = days_built.client_id and days.date = days_built.date
    where
        days_built.client_id is null
        or days.staged_run_ids <> days_built.staged_run_ids
        or days.live_run_ids <> days_built.live_run_ids
),

staged as materialized (
    select
        runs.*,
        waiting.client_id,
        waiting.date,
        runs.run_id = any(waiting.live_run_ids) as is_live,
        not runs.run_id = any(waiting.built_staged_run_ids) as is_new,
        runs.run_id = any(waiting.built_live_run_ids) as was_live
    from waiting
    inner join media_ops.run_days on waiting.client_id = run_days.client_id and waiting.date = run_days.date
    inner join runs on run_days.run_id = runs.run_id
),

-- The latest run that has rows of a day should be live. If not, a later run dropped the day.
latest_with_rows as (
    select distinct on (staged.feed_location, staged.series, staged.client_id, staged.date) staged.*
    from staged
    where staged.copy_of_run_id is null
    order by staged.feed_location, staged.series, staged.client_id, staged.date, staged.recency desc
),

without_rows as (
    select latest_with_rows.*
    from latest_with_rows
    where
        not latest_with_rows.is_live
        and (latest_with_rows.is_new or latest_with_rows.was_live)
        -- a copy of it can be live now
        and not exists (
            select 1
            from staged
            where
                staged.is_live
                and staged.feed_location = latest_with_rows.feed_location
                and staged.client_id = latest_with_rows.client_id
                and staged.date = latest_with_rows.date
                and staged.sha256 = latest_with_rows.sha256
        )
),

-- Either the run of the same key that is in force now dropped it …
new_versions as (
    select
        without_rows.run_id as other_run_id,
        in_force.run_id,
        least(min(run_days.date), min(in_force.key_date)) as first_date,
        greatest(max(run_days.date), min(in_force.key_date)) as last_date,
        min(in_force.covers) as covers,
        bool_or(without_rows.sha256 = runs.sha256) as is_same_content
    from (select distinct run_id, feed_location, file, sha256, same_key from without_rows) as without_rows
    inner join runs
        on
            without_rows.feed_location = runs.feed_location
            and without_rows.file = runs.file
            and (without_rows.same_key = 'replaces' or without_rows.sha256 = runs.sha256)
            and without_rows.run_id <> runs.run_id
    inner join in_force on runs.run_id = in_force.run_id
    left join media_ops.run_days on in_force.run_id = run_days.run_id
    group by without_rows.run_id, in_force.run_id
),

-- … or the latest run whose span contains it.
spanning as (
    select distinct on (without_rows.run_id, without_rows.client_id, without_rows.date)
        without_rows.run_id as other_run_id,
        without_rows.client_id,
        without_rows.date,
        covered.run_id
    from without_rows
    inner join ({int_days_covered}) as covered
        on
            without_rows.feed_location = covered.feed_location
            and without_rows.client_id = covered.client_id
            and without_rows.date = covered.date
            and (without_rows.has_deliveries or without_rows.part = covered.part)
    order by without_rows.run_id, without_rows.client_id, without_rows.date, covered.recency desc
),

dropped as (
    select
        case
            when new_versions.run_id is null then 'dropped by a span'
            when new_versions.is_same_content then 'dropped by loading again'
            when
                new_versions.covers = 'span'
                and without_rows.date between new_versions.first_date and new_versions.last_date
                then 'dropped by a version and its span'
            else 'dropped by a version'
        end as kind,
        coalesce(new_versions.run_id, spanning.run_id) as run_id,
        without_rows.run_id as other_run_id,
        without_rows.client_id,
        without_rows.date,
        null::bigint as impressions
    from without_rows
    left join new_versions on without_rows.run_id = new_versions.other_run_id
    left join spanning
        on
            without_rows.run_id = spanning.other_run_id
            and without_rows.client_id = spanning.client_id
            and without_rows.date = spanning.date
),

-- A new run, or delivery, that replaces another one on some days …
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

-- … but leaves out other days of it, between its own first and its last: they are still live.
spans_of_units as (
    select
        takeovers.*,
        min(run_days.date) as first_date,
        max(run_days.date) as last_date,
        (array_agg(runs.run_id order by runs.recency desc))[1] as run_id
    from takeovers
    inner join runs
        on
            takeovers.feed_location = runs.feed_location
            and takeovers.series = runs.series
            and takeovers.unit = runs.unit
    inner join media_ops.run_days on runs.run_id = run_days.run_id
    where runs.is_in_force and runs.copy_of_run_id is null
    group by takeovers.feed_location, takeovers.series, takeovers.unit, takeovers.replaced_unit
),

left_out as (
    select
        'left out' as kind,
        spans_of_units.run_id,
        runs.run_id as other_run_id,
        run_days.client_id,
        run_days.date,
        null::bigint as impressions
    from spans_of_units
    inner join runs
        on
            spans_of_units.feed_location = runs.feed_location
            and spans_of_units.series = runs.series
            and spans_of_units.replaced_unit = runs.unit
    inner join media_ops.run_days
        on
            runs.run_id = run_days.run_id
            and run_days.date between spans_of_units.first_date and spans_of_units.last_date
    inner join days on run_days.client_id = days.client_id and run_days.date = days.date
    where runs.run_id = any(days.live_run_ids) and runs.covers = 'rows'
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
