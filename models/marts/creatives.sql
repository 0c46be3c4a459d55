{{ config(unique_key=['placement_id', 'name'], meta={'set_elsewhere': ['preview_url']}) }}

with names as (
    select * from {{ ref('int_names_staged') }}
),

creatives as (
    select distinct
        names.creative_id as id,
        names.client_id,
        names.placement_id,
        names.creative_name::varchar(255) as name,
        null::text as preview_url,
        {{ utc_now() }} as created_at,
        {{ utc_now() }} as updated_at
    from names
)

select * from creatives
