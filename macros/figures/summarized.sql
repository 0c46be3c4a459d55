{#- daily_metrics summed by client and period, for the periods that contain a day to rebuild: client_id, period_start,
    period_end, the figures, the ratios, top_campaigns, top_creatives. Every summary selects its columns from it. -#}
{% macro summarized(period) -%}
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

periods_started as (
    select distinct
        days_to_rebuild.client_id,
        {{ period_start(period, 'days_to_rebuild.date') }} as period_start
    from days_to_rebuild
),

periods_to_rebuild as (
    select
        periods_started.*,
        {{ period_end(period, 'periods_started.period_start') }} as period_end
    from periods_started
),

-- daily_metrics is read once: campaigns and totals are summed from these sums.
creative_sums as (
    select
        periods_to_rebuild.client_id,
        periods_to_rebuild.period_start,
        periods_to_rebuild.period_end,
        daily_metrics.campaign_id,
        daily_metrics.creative_id,
        {{ sums_or_null('daily_metrics') }}
    from periods_to_rebuild
    inner join daily_metrics
        on
            periods_to_rebuild.client_id = daily_metrics.client_id
            and daily_metrics.date between periods_to_rebuild.period_start and periods_to_rebuild.period_end
    group by
        periods_to_rebuild.client_id, periods_to_rebuild.period_start, periods_to_rebuild.period_end,
        daily_metrics.campaign_id, daily_metrics.creative_id
),

summed as (
    select
        creative_sums.client_id,
        creative_sums.period_start,
        creative_sums.period_end,
        {{ fitted_sums('creative_sums', period) }}
    from creative_sums
    group by creative_sums.client_id, creative_sums.period_start, creative_sums.period_end
),

campaigns_summed as (
    select
        creative_sums.client_id,
        creative_sums.period_start,
        creative_sums.campaign_id,
        {{ fitted_sums('creative_sums', period) }}
    from creative_sums
    group by creative_sums.client_id, creative_sums.period_start, creative_sums.campaign_id
),

campaigns_ranked as (
    select
        campaigns_summed.*,
        campaigns.id,
        campaigns.name,
        {{ best_first('campaigns_summed', 'campaigns') }} as rank
    from campaigns_summed
    inner join campaigns on campaigns_summed.campaign_id = campaigns.id
),

creatives_summed as (
    select
        creative_sums.client_id,
        creative_sums.period_start,
        creative_sums.creative_id,
        {{ fitted_sums('creative_sums', period, summed=true) }}
    from creative_sums
),

creatives_ranked as (
    select
        creatives_summed.*,
        creatives.id,
        creatives.name,
        {{ best_first('creatives_summed', 'creatives') }} as rank
    from creatives_summed
    inner join creatives on creatives_summed.creative_id = creatives.id
),

top_campaigns as (
    {{ top_items('campaigns_ranked', period) }}
),

top_creatives as (
    {{ top_items('creatives_ranked', period) }}
),

divided as (
    select
        summed.*,
        {{ exact_ratios(period) }}
    from summed
)

select
    divided.client_id,
    divided.period_start,
    divided.period_end,
    {{ columns_of('divided', mart_figures(period)) }},
    {{ fitted_ratios() }},
    coalesce(top_campaigns.items, '[]'::jsonb) as top_campaigns,
    coalesce(top_creatives.items, '[]'::jsonb) as top_creatives
from divided
left join top_campaigns
    on divided.client_id = top_campaigns.client_id and divided.period_start = top_campaigns.period_start
left join top_creatives
    on divided.client_id = top_creatives.client_id and divided.period_start = top_creatives.period_start
{%- endmacro %}
