{{ config(
    unique_key=['client_id', 'month_start'], meta={'scope': ['client_id', 'month_start']}, post_hook=protect_mart()
) }}

with days_to_rebuild as (
    select * from {{ days_to_rebuild() }} as own_days
),

daily_metrics as (
    select * from {{ ref('daily_metrics') }}
),

campaigns as (
    select * from {{ ref('campaigns') }}
),

creatives as (
    select * from {{ ref('creatives') }}
),

periods as (
    select distinct
        days_to_rebuild.client_id,
        days_to_rebuild.month_start as period_start,
        (days_to_rebuild.month_start + interval '1 month' - interval '1 day')::date as period_end
    from days_to_rebuild
),

{{ summary_steps() }},

monthly_summaries as (
    select
        {{ natural_key_id('monthly_summaries', ['summed.client_id', 'summed.period_start']) }} as id,
        summed.client_id,
        summed.period_start as month_start,
        summed.period_end as month_end,
        summed.impressions,
        summed.clicks,
        summed.conversions,
        summed.revenue,
        summed.spend,
        {{ derived_ratios() }},
        coalesce(top_campaigns.items, '[]'::jsonb) as top_campaigns,
        coalesce(top_creatives.items, '[]'::jsonb) as top_creatives,
        {{ utc_now() }} as created_at
    from summed
    left join top_campaigns
        on summed.client_id = top_campaigns.client_id and summed.period_start = top_campaigns.period_start
    left join top_creatives
        on summed.client_id = top_creatives.client_id and summed.period_start = top_creatives.period_start
)

select * from monthly_summaries
