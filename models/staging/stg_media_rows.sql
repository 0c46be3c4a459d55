-- Not written as the other staging models are: PostgreSQL does not inline a view that has a `with`, so a build
-- would read all rows ever staged instead of finding its days by the index.
select
    source.ingestion_run_id as run_id,
    source.client_id,
    source.date,
    source.campaign_name,
    source.strategy_name,
    source.placement_name,
    source.creative_name,
    source.impressions,
    source.clicks,
    source.conversions,
    source.conversion_revenue
from {{ source('media', 'staging_media_raw') }} as source
