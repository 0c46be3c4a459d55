-- Warns of live days without a CPM, whose spend is unknown, with the client and the dates.
{{ config(severity='warn') }}

with days as (
    select * from {{ ref('int_days_fingerprinted') }}
),

clients as (
    select * from {{ ref('stg_clients') }}
)

select
    clients.client_name,
    min(days.date) as first_date,
    max(days.date) as last_date,
    count(*) as day_count
from days
inner join clients on days.client_id = clients.client_id
where days.cpm is null and cardinality(days.live_run_ids) > 0
group by clients.client_name
