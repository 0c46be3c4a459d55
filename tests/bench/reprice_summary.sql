-- One of the two summaries of reprice.sql. Variables besides those of reprice.sql: summaries (its table), period (week
-- or month), period_start (the column).
with creative_sums as (
    select
        date_trunc(:'period', date)::date as period_start, campaign_id, creative_id, sum(impressions) as impressions,
        sum(clicks) as clicks, sum(conversions) as conversions, sum(conversion_revenue) as revenue, sum(spend) as spend
    from media.daily_metrics
    where
        client_id = (select id from media.clients where name = :'client')
        and date >= date_trunc(:'period', :'since'::date)
    group by 1, 2, 3
),
campaign_sums as (
    select
        period_start, campaign_id, sum(impressions) as impressions, sum(clicks) as clicks,
        sum(conversions) as conversions, sum(revenue) as revenue, sum(spend) as spend
    from creative_sums group by 1, 2
),
sums as (
    select period_start, sum(spend) as spend from campaign_sums group by 1
),
top_campaigns as (
    select
        period_start,
        jsonb_agg(jsonb_build_object(
            'rank', rank, 'id', id, 'name', name, 'impressions', impressions, 'clicks', clicks,
            'conversions', conversions, 'revenue', revenue, 'spend', spend,
            'ctr', round(clicks::numeric / nullif(impressions, 0), 6), 'cpc', round(spend / nullif(clicks, 0), 4),
            'cpa', round(spend / nullif(conversions, 0), 4), 'roas', round(revenue / nullif(spend, 0), 4)
        ) order by rank) as items
    from (
        select
            summed.*, campaigns.id, campaigns.name,
            row_number() over (
                partition by period_start
                order by revenue desc nulls last, spend desc nulls last, campaigns.id
            ) as rank
        from campaign_sums as summed join media.campaigns on campaigns.id = summed.campaign_id
    ) as ranked
    where rank <= 10
    group by period_start
),
top_creatives as (
    select
        period_start,
        jsonb_agg(jsonb_build_object(
            'rank', rank, 'id', id, 'name', name, 'impressions', impressions, 'clicks', clicks,
            'conversions', conversions, 'revenue', revenue, 'spend', spend,
            'ctr', round(clicks::numeric / nullif(impressions, 0), 6), 'cpc', round(spend / nullif(clicks, 0), 4),
            'cpa', round(spend / nullif(conversions, 0), 4), 'roas', round(revenue / nullif(spend, 0), 4)
        ) order by rank) as items
    from (
        select
            summed.*, creatives.id, creatives.name,
            row_number() over (
                partition by period_start
                order by revenue desc nulls last, spend desc nulls last, creatives.id
            ) as rank
        from creative_sums as summed join media.creatives on creatives.id = summed.creative_id
    ) as ranked
    where rank <= 10
    group by period_start
)
update media.:summaries as summaries
set spend = sums.spend, cpc = round(sums.spend / nullif(clicks, 0), 4),
    cpa = round(sums.spend / nullif(conversions, 0), 4), roas = round(revenue / nullif(sums.spend, 0), 4),
    top_campaigns = top_campaigns.items, top_creatives = top_creatives.items
from sums join top_campaigns using (period_start) join top_creatives using (period_start)
where
    summaries.client_id = (select id from media.clients where name = :'client')
    and summaries.:period_start = sums.period_start;
