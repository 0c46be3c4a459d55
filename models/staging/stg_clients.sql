with source as (
    select * from {{ source('media', 'clients') }}
),

renamed as (
    select
        source.id as client_id,
        source.name as client_name,
        source.status
    from source
)

select * from renamed
