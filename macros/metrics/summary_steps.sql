{#- What both summaries have in common, as steps of a `with` that has `periods` (client_id, period_start, period_end),
    daily_metrics, campaigns and creatives: the sums of each client and period in `summed`, its best in `top_campaigns`
    and `top_creatives`. -#}
{% macro summary_steps() -%}
-- The days are read once: creatives add up to campaigns, and those to the whole.
creatives_added as (
    select
        periods.client_id,
        periods.period_start,
        periods.period_end,
        daily_metrics.campaign_id,
        daily_metrics.creative_id,
        {{ sum_or_null('daily_metrics.impressions') }} as impressions,
        {{ sum_or_null('daily_metrics.clicks') }} as clicks,
        {{ sum_or_null('daily_metrics.conversions') }} as conversions,
        {{ sum_or_null('daily_metrics.conversion_revenue') }} as conversion_revenue,
        {{ sum_or_null('daily_metrics.spend') }} as spend
    from periods
    inner join daily_metrics
        on
            periods.client_id = daily_metrics.client_id
            and daily_metrics.date between periods.period_start and periods.period_end
    group by
        periods.client_id, periods.period_start, periods.period_end,
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
)
{%- endmacro %}
