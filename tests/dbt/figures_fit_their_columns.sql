-- A figure that does not fit its column stands as null; whoever reads it is told which one, of whom and when. Over
-- what was recomputed.
{{ config(severity='warn') }}

with days as (
    select * from {{ days_to_rebuild() }} as own_days
),

clients as (
    select * from {{ ref('stg_clients') }}
),

-- Read several times, each time by its index: materialized, it would be the whole history.
daily_metrics as not materialized (
    select * from {{ ref('daily_metrics') }}
),

weeks as (
    select distinct
        days.client_id,
        days.week_start
    from days
),

weekly_summaries as (
    select summary.*
    from {{ ref('weekly_summaries') }} as summary
    inner join weeks on summary.client_id = weeks.client_id and summary.week_start = weeks.week_start
),

months as (
    select distinct
        days.client_id,
        days.month_start
    from days
),

monthly_summaries as (
    select summary.*
    from {{ ref('monthly_summaries') }} as summary
    inner join months on summary.client_id = months.client_id and summary.month_start = months.month_start
),

daily as (
    select
        'daily_metrics' as mart,
        daily_metrics.client_id,
        daily_metrics.date,
        {{ figures_missing('daily_metrics', 'conversion_revenue', 'days.cpm is not null') }} as figures
    from daily_metrics
    inner join days on daily_metrics.client_id = days.client_id and daily_metrics.date = days.date
),

-- A sum is null where that of one of its days is.
weeks_without_spend as (
    select distinct
        weekly_summaries.client_id,
        weekly_summaries.week_start
    from weekly_summaries
    inner join daily_metrics
        on
            weekly_summaries.client_id = daily_metrics.client_id
            and daily_metrics.date between weekly_summaries.week_start and weekly_summaries.week_end
    where weekly_summaries.spend is null and daily_metrics.spend is null
),

weekly as (
    select
        'weekly_summaries' as mart,
        weekly_summaries.client_id,
        weekly_summaries.week_start as date,
        {{ figures_missing('weekly_summaries', 'revenue', 'weeks_without_spend.client_id is null') }} as figures
    from weekly_summaries
    left join weeks_without_spend
        on
            weekly_summaries.client_id = weeks_without_spend.client_id
            and weekly_summaries.week_start = weeks_without_spend.week_start
),

months_without_spend as (
    select distinct
        monthly_summaries.client_id,
        monthly_summaries.month_start
    from monthly_summaries
    inner join daily_metrics
        on
            monthly_summaries.client_id = daily_metrics.client_id
            and daily_metrics.date between monthly_summaries.month_start and monthly_summaries.month_end
    where monthly_summaries.spend is null and daily_metrics.spend is null
),

monthly as (
    select
        'monthly_summaries' as mart,
        monthly_summaries.client_id,
        monthly_summaries.month_start as date,
        {{ figures_missing('monthly_summaries', 'revenue', 'months_without_spend.client_id is null') }} as figures
    from monthly_summaries
    left join months_without_spend
        on
            monthly_summaries.client_id = months_without_spend.client_id
            and monthly_summaries.month_start = months_without_spend.month_start
),

every_mart as (
    select * from daily
    union all
    select * from weekly
    union all
    select * from monthly
),

named as (
    select
        clients.client_name,
        every_mart.mart,
        every_mart.figures,
        min(every_mart.date) as first_date,
        max(every_mart.date) as last_date,
        count(*) as row_count
    from every_mart
    inner join clients on every_mart.client_id = clients.client_id
    where every_mart.figures <> ''
    group by clients.client_name, every_mart.mart, every_mart.figures
)

select * from named
