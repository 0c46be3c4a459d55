with source as (
    select * from {{ source('media', 'client_settings') }}
),

renamed as (
    select
        source.client_id,
        source.cpm,
        -- No date: from the beginning.
        coalesce(source.effective_date, '-infinity'::date) as effective_date
    from source
)

select * from renamed
