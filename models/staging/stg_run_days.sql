with source as (
    select * from {{ source('media_ops', 'run_days') }}
),

renamed as (
    select
        source.run_id,
        source.client_id,
        source.date
    from source
)

select * from renamed
