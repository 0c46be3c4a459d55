{{ config(unique_key=['campaign_id', 'name']) }}

with names as (
    select * from {{ ref('int_names_staged') }}
),

strategies as (
    select distinct
        names.strategy_id as id,
        names.client_id,
        names.campaign_id,
        names.strategy_name::varchar(255) as name,
        {{ utc_now() }} as created_at,
        {{ utc_now() }} as updated_at
    from names
)

select * from strategies
