with source as (
    select * from {{ source('media_ops', 'cpm_periods') }}
),

renamed as (
    select
        source.client_id,
        source.cpm,
        source.first_date,
        source.next_date
    from source
)

select * from renamed
