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

-- daily_metrics is read once: campaigns and totals are summed from these sums. It is read for each period, by index: the
-- planner cannot estimate how many rows a range of dates has, and joined to all periods at once it may read all rows.
creative_sums as (
    select
        periods_to_rebuild.client_id,
        periods_to_rebuild.period_start,
        periods_to_rebuild.period_end,
        period_sums.*
    from periods_to_rebuild
    cross join lateral (
        select
            daily_metrics.campaign_id,
            daily_metrics.creative_id,
            {{ sums_or_null('daily_metrics') }}
        from daily_metrics
        where
            daily_metrics.client_id = periods_to_rebuild.client_id
            and daily_metrics.date between periods_to_rebuild.period_start and periods_to_rebuild.period_end
        group by daily_metrics.campaign_id, daily_metrics.creative_id
    ) as period_sums
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
        {{ best_first('campaigns_summed', 'campaign_id') }} as rank
    from campaigns_summed
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
        {{ best_first('creatives_summed', 'creative_id') }} as rank
    from creatives_summed
),

top_campaigns as (
    {{ top_items('campaigns_ranked', 'campaigns', 'campaign_id', period) }}
),

top_creatives as (
    {{ top_items('creatives_ranked', 'creatives', 'creative_id', period) }}
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
