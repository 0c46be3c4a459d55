-- Warns of live days without a CPM, whose spend is unknown, with the client and the dates.
{{ config(severity='warn') }}

with days as (
    select * from {{ ref('int_days_staged') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
),

unpriced as (
    select
        days.client_id,
        min(days.date) as first_date,
        max(days.date) as last_date,
        count(*) as day_count
    from days
    where days.cpm is null and cardinality(days.live_run_ids) > 0
    group by days.client_id
)

select
    clients.client_name,
    unpriced.first_date,
    unpriced.last_date,
    unpriced.day_count
from unpriced
inner join clients on unpriced.client_id = clients.client_id
