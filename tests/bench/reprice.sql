-- The floor of a new price: what someone writes by hand who knows which client, which days and which price, and that
-- no figure overflows. Same rows, same columns, same order of the best.
\set ON_ERROR_STOP on
begin;

update media.daily_metrics as metrics
set spend = spent.spend, cpc = round(spent.spend / nullif(clicks, 0), 4),
    cpa = round(spent.spend / nullif(conversions, 0), 4),
    roas = round(conversion_revenue / nullif(spent.spend, 0), 4)
from (
    select daily_metrics.id, round(daily_metrics.impressions * :cpm / 1000, 2) as spend
    from media.daily_metrics
    where
        daily_metrics.client_id = (select id from media.clients where name = :'client')
        and daily_metrics.date >= :'since'
) as spent
where metrics.id = spent.id;

with creative_sums as (
    select
        date_trunc('week', date)::date as period_start, campaign_id, creative_id, sum(impressions) as impressions,
        sum(clicks) as clicks, sum(conversions) as conversions, sum(conversion_revenue) as revenue, sum(spend) as spend
    from media.daily_metrics
    where
        client_id = (select id from media.clients where name = :'client')
        and date >= date_trunc('week', :'since'::date)
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
update media.weekly_summaries as summaries
set spend = sums.spend, cpc = round(sums.spend / nullif(clicks, 0), 4),
    cpa = round(sums.spend / nullif(conversions, 0), 4), roas = round(revenue / nullif(sums.spend, 0), 4),
    top_campaigns = top_campaigns.items, top_creatives = top_creatives.items
from sums join top_campaigns using (period_start) join top_creatives using (period_start)
where
    summaries.client_id = (select id from media.clients where name = :'client')
    and summaries.week_start = sums.period_start;

with creative_sums as (
    select
        date_trunc('month', date)::date as period_start, campaign_id, creative_id, sum(impressions) as impressions,
        sum(clicks) as clicks, sum(conversions) as conversions, sum(conversion_revenue) as revenue, sum(spend) as spend
    from media.daily_metrics
    where
        client_id = (select id from media.clients where name = :'client')
        and date >= date_trunc('month', :'since'::date)
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
update media.monthly_summaries as summaries
set spend = sums.spend, cpc = round(sums.spend / nullif(clicks, 0), 4),
    cpa = round(sums.spend / nullif(conversions, 0), 4), roas = round(revenue / nullif(sums.spend, 0), 4),
    top_campaigns = top_campaigns.items, top_creatives = top_creatives.items
from sums join top_campaigns using (period_start) join top_creatives using (period_start)
where
    summaries.client_id = (select id from media.clients where name = :'client')
    and summaries.month_start = sums.period_start;

commit;
