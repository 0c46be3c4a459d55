with source as (
    select * from {{ source('media_ops', 'days_built') }}
),

renamed as (
    select
        source.client_id,
        source.date,
        source.fingerprint,
        source.staged_run_ids,
        source.aliases_fingerprint
    from source
)

select * from renamed
