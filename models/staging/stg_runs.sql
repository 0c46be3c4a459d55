with source as (
    select * from {{ source('media', 'ingestion_logs') }}
),

-- An attempt that failed, or that found the content already in force, is no run; a retracted run counts for nothing.
runs_that_count as (
    select
        source.id as run_id,
        source.run_number,
        source.feed_location,
        source.bucket,
        -- Keys are ordered as in S3, whatever the database's own order of letters is.
        source.object_key collate "C" as object_key, -- noqa: RF03
        source.client_id as key_client_id,
        source.sha256,
        source.last_modified
    from source
    where
        source.status = 'success'
        and source.same_content_as is null
        and source.retracted_at is null
)

select * from runs_that_count
