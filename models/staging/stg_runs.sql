with source as (
    select * from {{ source('media_ops', 'runs_that_count') }}
),

renamed as (
    select
        source.run_id,
        source.run_number,
        source.feed_location,
        source.bucket,
        -- Keys are ordered as in S3, whatever the database's own collation is.
        source.object_key collate "C" as object_key, -- noqa: RF03
        source.client_id as key_client_id,
        source.sha256,
        source.last_modified
    from source
)

select * from renamed
