-- The same total in every layer, for each client, to the cent; null only where the other is null too.
-- Over what was recomputed, or over everything: --vars 'reconcile: all'.
{% set all_of_it = var('reconcile') == 'all' %}

with days as (
    select * from {{ days_to_rebuild() }} as own_days
),

media_rows as (
    select * from {{ ref('stg_media_rows') }}
),

-- Read several times, each time by its index: materialized, it would be the whole history.
daily_metrics as not materialized (
    select * from {{ ref('daily_metrics') }}
),

weekly_summaries as (
    select * from {{ ref('weekly_summaries') }}
),

monthly_summaries as (
    select * from {{ ref('monthly_summaries') }}
),

runs_to_read as (
    {% if all_of_it -%}
    select
        live_run_days.client_id,
        live_run_days.date,
        live_run_days.run_id
    from {{ ref('int_live_run_days') }} as live_run_days
    {%- else -%}
    select
        days.client_id,
        days.date,
        unnest(days.live_run_ids) as run_id
    from days
    {%- endif %}
),

staged as (
    select
        media_rows.client_id,
        media_rows.date,
        sum(media_rows.impressions) as impressions,
        sum(media_rows.clicks) as clicks,
        sum(media_rows.conversions) as conversions,
        sum(media_rows.conversion_revenue) as revenue
    from runs_to_read
    inner join media_rows
        on
            runs_to_read.run_id = media_rows.run_id
            and runs_to_read.client_id = media_rows.client_id
            and runs_to_read.date = media_rows.date
    group by media_rows.client_id, media_rows.date
),

daily as (
    select
        daily_metrics.client_id,
        daily_metrics.date,
        {{ sum_or_null('daily_metrics.impressions') }} as impressions,
        {{ sum_or_null('daily_metrics.clicks') }} as clicks,
        {{ sum_or_null('daily_metrics.conversions') }} as conversions,
        {{ sum_or_null('daily_metrics.conversion_revenue') }} as revenue
    from
        daily_metrics
    {%- if not all_of_it %}
inner join days on daily_metrics.client_id = days.client_id and daily_metrics.date = days.date
    {%- endif %}
    group by daily_metrics.client_id, daily_metrics.date
),

days_that_differ as (
    select
        'staging and daily' as layers,
        coalesce(staged.client_id, daily.client_id) as client_id,
        coalesce(staged.date, daily.date) as date
    from staged
    full join daily on staged.client_id = daily.client_id and staged.date = daily.date
    where
        (staged.client_id is null) <> (daily.client_id is null)
        -- A figure that does not fit its column is null in daily_metrics, and warned of elsewhere.
        or staged.revenue <> daily.revenue
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
