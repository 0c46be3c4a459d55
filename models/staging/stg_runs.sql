with source as (
    select * from {{ source('media_ops', 'runs_that_count') }}
),

renamed as (
    select
        source.run_id,
        source.run_number,
        source.feed_location,
        -- Files are ordered as in S3, whatever the database's own collation is.
        source.file collate "C" as file, -- noqa: RF03
        source.key_date,
        source.client_id as key_client_id,
        source.part,
        source.delivery,
        source.sha256,
        source.last_modified
    from source
)

select * from renamed
