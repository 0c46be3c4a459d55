with source as (
    select * from {{ source('media', 'staging_media_raw') }}
),

renamed as (
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
    from source
)

select * from renamed
