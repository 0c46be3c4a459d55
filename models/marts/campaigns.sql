{{ config(unique_key=['client_id', 'name']) }}

with names as (
    select * from {{ ref('int_names_staged') }}
),

campaigns as (
    select distinct
        names.campaign_id as id,
        names.client_id,
        names.campaign_name::varchar(255) as name,
        {{ utc_now() }} as created_at,
        {{ utc_now() }} as updated_at
    from names
)

select * from campaigns
