-- A figure that does not fit its column stands as null; whoever reads it is told which row.
{{ config(severity='warn') }}

with daily_metrics as (
    select * from {{ ref('daily_metrics') }}
),

days_to_rebuild as (
    select * from {{ days_to_rebuild() }} as own_days
)

select
    daily_metrics.client_id,
    daily_metrics.date,
    daily_metrics.creative_id
from daily_metrics
inner join days_to_rebuild
    on daily_metrics.client_id = days_to_rebuild.client_id and daily_metrics.date = days_to_rebuild.date
where
    daily_metrics.impressions is null
    or daily_metrics.clicks is null
    or daily_metrics.conversions is null
    or daily_metrics.conversion_revenue is null
    or (days_to_rebuild.cpm is not null and daily_metrics.spend is null)
    or (daily_metrics.spend is not null and daily_metrics.clicks <> 0 and daily_metrics.cpc is null)
    or (daily_metrics.spend is not null and daily_metrics.conversions <> 0 and daily_metrics.cpa is null)
    or (daily_metrics.impressions <> 0 and daily_metrics.ctr is null)
    or (daily_metrics.spend <> 0 and daily_metrics.roas is null)
