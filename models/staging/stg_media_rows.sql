-- Without the usual steps: PostgreSQL does not look into a view that has a `with`, so a night would read every row ever
-- staged where it can find its own days by the index.
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
