-- The same total in every layer, for each client, to the cent; null only where the other is null too.
-- Over what was recomputed, or over everything: --vars 'reconcile: all'.
{% set all_of_it = var('reconcile') == 'all' %}

with days as (
    select * from {{ days_to_rebuild() }} as own_days
),

media_rows as (
    select * from {{ ref('stg_media_rows') }}
),

daily_metrics as (
    select * from {{ ref('daily_metrics') }}
),

weekly_summaries as (
    select * from {{ ref('weekly_summaries') }}
),

monthly_summaries as (
    select * from {{ ref('monthly_summaries') }}
),

{% if all_of_it %}
days_compared as (
    select * from {{ ref('int_days_compared') }}
),

-- Those that are staged by the runs that they were built from.
days_in_step as (
    select
        days_compared.client_id,
        days_compared.date,
        days_compared.live_run_ids
    from days_compared
    inner join {{ ref('stg_days_built') }} as days_built
        on days_compared.client_id = days_built.client_id and days_compared.date = days_built.date
    left join days on days_compared.client_id = days.client_id and days_compared.date = days.date
    where
        days.client_id is null
        and days_built.fingerprint is not null
        and days_compared.staged_run_ids = days_built.staged_run_ids
),

days_to_check as (
    select
        days.client_id,
        days.date,
        days.live_run_ids
    from days
    union all
    select * from days_in_step
),

-- The others wait for the next build: what staged them came during this one.
days_waiting as ( -- noqa: ST03
    select
        days_compared.client_id,
        days_compared.date
    from days_compared
    left join days_to_check
        on days_compared.client_id = days_to_check.client_id and days_compared.date = days_to_check.date
    where days_to_check.client_id is null
),
{% else %}
days_to_check as (
    select * from days
),

-- The days of the weeks and months that hold a day of the list.
days_summarised as ( -- noqa: ST03
    select
        days.client_id,
        days.week_start + day_of_week.number as date
    from days
    cross join generate_series(0, 6) as day_of_week (number)
    union
    select
        days.client_id,
        days.month_start + day_of_month.number as date
    from days
    cross join generate_series(0, 30) as day_of_month (number)
    where days.month_start + day_of_month.number < days.month_start + interval '1 month'
),
{% endif %}

runs_to_read as (
    select
        days_to_check.client_id,
        days_to_check.date,
        unnest(days_to_check.live_run_ids) as run_id
    from days_to_check
),

staged as (
    select
        media_rows.client_id,
        media_rows.date,
        sum(media_rows.impressions) as impressions,
        sum(media_rows.clicks) as clicks,
        sum(media_rows.conversions) as conversions,
        sum(media_rows.conversion_revenue) as conversion_revenue
    from runs_to_read
    inner join media_rows
        on
            runs_to_read.run_id = media_rows.run_id
            and runs_to_read.client_id = media_rows.client_id
            and runs_to_read.date = media_rows.date
    group by media_rows.client_id, media_rows.date
),

-- Read once: days add up to weeks and months.
daily as (
    select
        daily_metrics.client_id,
        daily_metrics.date,
        {{ sum_or_null('daily_metrics.impressions') }} as impressions,
        {{ sum_or_null('daily_metrics.clicks') }} as clicks,
        {{ sum_or_null('daily_metrics.conversions') }} as conversions,
        {{ sum_or_null('daily_metrics.conversion_revenue') }} as conversion_revenue,
        {{ sum_or_null('daily_metrics.spend') }} as spend
    from daily_metrics
    {% if not all_of_it %}
    inner join days_summarised
        on daily_metrics.client_id = days_summarised.client_id and daily_metrics.date = days_summarised.date
    {% endif %}
    group by daily_metrics.client_id, daily_metrics.date
),

days_of_daily as (
    select daily.*
    from daily
    {% if all_of_it %}
    left join days_waiting on daily.client_id = days_waiting.client_id and daily.date = days_waiting.date
    where days_waiting.client_id is null
    {% else %}
    inner join days on daily.client_id = days.client_id and daily.date = days.date
    {% endif %}
),

days_that_differ as (
    select
        'staging and daily' as layers,
        coalesce(staged.client_id, daily.client_id) as client_id,
        coalesce(staged.date, daily.date) as date
    from staged
    full join days_of_daily as daily on staged.client_id = daily.client_id and staged.date = daily.date
    where
        (staged.client_id is null) <> (daily.client_id is null)
        -- A figure that does not fit its column is null in daily_metrics, and warned of elsewhere.
        or staged.conversion_revenue <> daily.conversion_revenue
        or {{ fitted_count('staged.impressions') }} is distinct from {{ fitted_count('daily.impressions') }}
        or {{ fitted_count('staged.clicks') }} is distinct from {{ fitted_count('daily.clicks') }}
        or {{ fitted_count('staged.conversions') }} is distinct from {{ fitted_count('daily.conversions') }}
),

weeks_that_differ as (
    {{ periods_that_differ('week', 'weekly_summaries', all_of_it) }}
),

months_that_differ as (
    {{ periods_that_differ('month', 'monthly_summaries', all_of_it) }}
),

differing as (
    select * from days_that_differ
    union all
    select * from weeks_that_differ
    union all
    select * from months_that_differ
)

select * from differing
