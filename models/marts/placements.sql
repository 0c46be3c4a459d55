{{ config(unique_key=['strategy_id', 'name']) }}

with names as (
    select * from {{ ref('int_names_staged') }}
),

placements as (
    select distinct
        names.placement_id as id,
        names.client_id,
        names.strategy_id,
        names.placement_name::varchar(255) as name,
        {{ utc_now() }} as created_at,
        {{ utc_now() }} as updated_at
    from names
)

select * from placements
