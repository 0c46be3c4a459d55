with source as (
    select * from {{ source('media_ops', 'feeds') }}
),

renamed as (
    select
        source.location as feed_location,
        source.redelivery,
        source.covers,
        source.same_key,
        source.client_from_key
    from source
)

select * from renamed
