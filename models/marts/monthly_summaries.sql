{{ config(
    unique_key=['client_id', 'month_start'], meta={'scope': ['client_id', 'month_start'], 'lock': 'shared'},
    post_hook=protect_mart()
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

months_to_rebuild as (
    select distinct
        days_to_rebuild.client_id,
        days_to_rebuild.month_start as period_start,
        (days_to_rebuild.month_start + interval '1 month' - interval '1 day')::date as period_end
    from days_to_rebuild
),

-- The days are read once: creatives add up to campaigns, and those to the whole.
creatives_added as (
    select
        months_to_rebuild.client_id,
        months_to_rebuild.period_start,
        months_to_rebuild.period_end,
        daily_metrics.campaign_id,
        daily_metrics.creative_id,
        {{ sum_or_null('daily_metrics.impressions') }} as impressions,
        {{ sum_or_null('daily_metrics.clicks') }} as clicks,
        {{ sum_or_null('daily_metrics.conversions') }} as conversions,
        {{ sum_or_null('daily_metrics.conversion_revenue') }} as conversion_revenue,
        {{ sum_or_null('daily_metrics.spend') }} as spend
    from months_to_rebuild
    inner join daily_metrics
        on
            months_to_rebuild.client_id = daily_metrics.client_id
            and daily_metrics.date between months_to_rebuild.period_start and months_to_rebuild.period_end
    group by
        months_to_rebuild.client_id, months_to_rebuild.period_start, months_to_rebuild.period_end,
        daily_metrics.campaign_id, daily_metrics.creative_id
),

summed as (
    select
        creatives_added.client_id,
        creatives_added.period_start,
        creatives_added.period_end,
        {{ summed_figures() }}
    from creatives_added
    group by creatives_added.client_id, creatives_added.period_start, creatives_added.period_end
),

campaigns_summed as (
    select
        creatives_added.client_id,
        creatives_added.period_start,
        creatives_added.campaign_id,
        {{ summed_figures() }}
    from creatives_added
    group by creatives_added.client_id, creatives_added.period_start, creatives_added.campaign_id
),

campaigns_ranked as (
    select
        campaigns_summed.client_id,
        campaigns_summed.period_start,
        campaigns.id,
        campaigns.name,
        campaigns_summed.impressions,
        campaigns_summed.clicks,
        campaigns_summed.conversions,
        campaigns_summed.revenue,
        campaigns_summed.spend,
        {{ best_first('campaigns_summed', 'campaigns') }} as rank
    from campaigns_summed
    inner join campaigns on campaigns_summed.campaign_id = campaigns.id
),

creatives_summed as (
    select
        creatives_added.client_id,
        creatives_added.period_start,
        creatives_added.creative_id,
        {{ fitted_count('creatives_added.impressions') }} as impressions,
        {{ fitted_count('creatives_added.clicks') }} as clicks,
        {{ fitted_count('creatives_added.conversions') }} as conversions,
        {{ fitted('creatives_added.conversion_revenue', 12, 2) }} as revenue,
        {{ fitted('creatives_added.spend', 12, 2) }} as spend
    from creatives_added
),

creatives_ranked as (
    select
        creatives_summed.client_id,
        creatives_summed.period_start,
        creatives.id,
        creatives.name,
        creatives_summed.impressions,
        creatives_summed.clicks,
        creatives_summed.conversions,
        creatives_summed.revenue,
        creatives_summed.spend,
        {{ best_first('creatives_summed', 'creatives') }} as rank
    from creatives_summed
    inner join creatives on creatives_summed.creative_id = creatives.id
),

top_campaigns as (
    {{ top_items('campaigns_ranked') }}
),

top_creatives as (
    {{ top_items('creatives_ranked') }}
),

divided as (
    select
        summed.*,
        {{ exact_ratios() }}
    from summed
),

monthly_summaries as (
    select
        {{ natural_key_id('monthly_summaries', ['divided.client_id', 'divided.period_start']) }} as id,
        divided.client_id,
        divided.period_start as month_start,
        divided.period_end as month_end,
        divided.impressions,
        divided.clicks,
        divided.conversions,
        divided.revenue,
        divided.spend,
        {{ fitted_ratios() }},
        coalesce(top_campaigns.items, '[]'::jsonb) as top_campaigns,
        coalesce(top_creatives.items, '[]'::jsonb) as top_creatives,
        {{ utc_now() }} as created_at
    from divided
    left join top_campaigns
        on divided.client_id = top_campaigns.client_id and divided.period_start = top_campaigns.period_start
    left join top_creatives
        on divided.client_id = top_creatives.client_id and divided.period_start = top_creatives.period_start
)

select * from monthly_summaries
