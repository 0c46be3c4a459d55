-- Inserts 200 clients with 100 creatives each, and their daily_metrics for :days days. Keys are not checked.
set session_replication_role = replica;
insert into media.clients (name) select 'Client ' || number from generate_series(1, 200) as number;
insert into media.campaigns (id, client_id, name, created_at, updated_at)
select gen_random_uuid(), clients.id, 'Campaign ' || number, now(), now()
from media.clients, generate_series(1, 10) as number;
insert into media.strategies (id, client_id, campaign_id, name, created_at, updated_at)
select gen_random_uuid(), client_id, id, 'Strategy', now(), now() from media.campaigns;
insert into media.placements (id, client_id, strategy_id, name, created_at, updated_at)
select gen_random_uuid(), client_id, id, 'Placement', now(), now() from media.strategies;
insert into media.creatives (id, client_id, placement_id, name, created_at, updated_at)
select gen_random_uuid(), client_id, id, 'Creative ' || number, now(), now()
from media.placements, generate_series(1, 10) as number;
insert into media.daily_metrics (
    id, client_id, date, campaign_id, strategy_id, placement_id, creative_id, impressions, clicks, conversions,
    conversion_revenue, spend, created_at, updated_at
)
select
    gen_random_uuid(), creatives.client_id, '2025-01-01'::date + day, strategies.campaign_id, strategies.id,
    placements.id, creatives.id, 1000 + day, 10, 1, 9.5, 5 + day, now(), now()
from generate_series(0, :days - 1) as day, media.creatives
join media.placements on placements.id = creatives.placement_id
join media.strategies on strategies.id = placements.strategy_id;
vacuum analyze;
