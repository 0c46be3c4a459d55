-- One of the two summaries of first_build.sql. Variables: summaries (its table), creative_sums (the sums of each
-- creative by client and period), period_end (an expression that uses period_start).
insert into floor.:summaries
with campaign_sums as (
    select
        client_id, period_start, campaign_id, sum(impressions) as impressions, sum(clicks) as clicks,
        sum(conversions) as conversions, sum(revenue) as revenue, sum(spend) as spend
    from :creative_sums group by 1, 2, 3
),
sums as (
    select
        client_id, period_start, sum(impressions) as impressions, sum(clicks) as clicks,
        sum(conversions) as conversions, sum(revenue) as revenue, sum(spend) as spend
    from campaign_sums group by 1, 2
),
top_campaigns as (
    select
        client_id, period_start,
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
                partition by summed.client_id, period_start
                order by revenue desc nulls last, spend desc nulls last, campaigns.id
            ) as rank
        from campaign_sums as summed join floor.campaigns on campaigns.id = summed.campaign_id
    ) as ranked
    where rank <= 10
    group by client_id, period_start
),
top_creatives as (
    select
        client_id, period_start,
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
                partition by summed.client_id, period_start
                order by revenue desc nulls last, spend desc nulls last, creatives.id
            ) as rank
        from :creative_sums as summed join floor.creatives on creatives.id = summed.creative_id
    ) as ranked
    where rank <= 10
    group by client_id, period_start
)
select
    md5(json_build_array(:'summaries', client_id, period_start)::text)::uuid, client_id, period_start,
    :period_end, impressions, clicks, conversions, revenue, spend,
    clicks / nullif(impressions, 0), spend / nullif(clicks, 0), spend / nullif(conversions, 0),
    revenue / nullif(spend, 0), top_campaigns.items, top_creatives.items, now() at time zone 'utc'
from sums
join top_campaigns using (client_id, period_start)
join top_creatives using (client_id, period_start);
