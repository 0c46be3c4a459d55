-- The floor of a first build: what someone would write by hand who knows that there is one feed, one run per file, no
-- restatement, and no figure that does not fit. Rows first, then keys, indexes and foreign keys.
set work_mem = '128MB';
set maintenance_work_mem = '256MB';
set jit = off;
drop schema if exists floor cascade;
create schema floor;

begin;

create temporary table names on commit drop as
select
    client_id, campaign_name, strategy_name, placement_name, creative_name,
    md5(json_build_array('campaign', secret, client_id, campaign_name)::text)::uuid as campaign_id,
    md5(json_build_array('strategy', secret, client_id, campaign_name, strategy_name)::text)::uuid as strategy_id,
    md5(json_build_array(
        'placement', secret, client_id, campaign_name, strategy_name, placement_name
    )::text)::uuid as placement_id,
    md5(json_build_array(
        'creative', secret, client_id, campaign_name, strategy_name, placement_name, creative_name
    )::text)::uuid as creative_id
from (
    select distinct client_id, campaign_name, strategy_name, placement_name, creative_name
    from media.staging_media_raw
) as paths
cross join media_ops.id_secret;
analyze names;

create table floor.campaigns (
    id uuid not null, client_id uuid not null, name varchar(255) not null,
    created_at timestamp not null, updated_at timestamp not null
);
insert into floor.campaigns
select distinct campaign_id, client_id, campaign_name, now() at time zone 'utc', now() at time zone 'utc' from names;

create table floor.strategies (
    id uuid not null, client_id uuid not null, campaign_id uuid not null, name varchar(255) not null,
    created_at timestamp not null, updated_at timestamp not null
);
insert into floor.strategies
select distinct strategy_id, client_id, campaign_id, strategy_name, now() at time zone 'utc', now() at time zone 'utc'
from names;

create table floor.placements (
    id uuid not null, client_id uuid not null, strategy_id uuid not null, name varchar(255) not null,
    created_at timestamp not null, updated_at timestamp not null
);
insert into floor.placements
select
    distinct placement_id, client_id, strategy_id, placement_name, now() at time zone 'utc', now() at time zone 'utc'
from names;

create table floor.creatives (
    id uuid not null, client_id uuid not null, placement_id uuid not null, name varchar(255) not null,
    preview_url text, created_at timestamp not null, updated_at timestamp not null
);
insert into floor.creatives
select
    creative_id, client_id, placement_id, creative_name, null, now() at time zone 'utc', now() at time zone 'utc'
from names;

create table floor.daily_metrics (
    id uuid not null, client_id uuid not null, date date not null, campaign_id uuid not null,
    strategy_id uuid not null, placement_id uuid not null, creative_id uuid not null, impressions bigint,
    clicks bigint, ctr decimal(12, 6), conversions bigint, conversion_revenue decimal(12, 2), spend decimal(12, 2),
    cpc decimal(12, 4), cpa decimal(12, 4), roas decimal(12, 4), created_at timestamp not null,
    updated_at timestamp not null
);
insert into floor.daily_metrics
select
    md5(json_build_array('daily_metrics', date, creative_id)::text)::uuid, client_id, date, campaign_id, strategy_id,
    placement_id, creative_id, impressions, clicks, clicks::numeric / nullif(impressions, 0), conversions,
    conversion_revenue, spend, spend / nullif(clicks, 0), spend / nullif(conversions, 0),
    conversion_revenue / nullif(spend, 0), now() at time zone 'utc', now() at time zone 'utc'
from (
    select summed.*, round(summed.impressions * client_settings.cpm / 1000, 2) as spend
    from (
        select
            staged.client_id, staged.date, names.campaign_id, names.strategy_id, names.placement_id,
            names.creative_id, sum(staged.impressions) as impressions, sum(staged.clicks) as clicks,
            sum(staged.conversions) as conversions, sum(staged.conversion_revenue) as conversion_revenue
        from media.staging_media_raw as staged
        join names using (client_id, campaign_name, strategy_name, placement_name, creative_name)
        group by 1, 2, 3, 4, 5, 6
    ) as summed
    left join media.client_settings on client_settings.client_id = summed.client_id
) as priced;

create temporary table creative_weeks on commit drop as
select
    client_id, date_trunc('week', date)::date as period_start, campaign_id, creative_id,
    sum(impressions) as impressions, sum(clicks) as clicks, sum(conversions) as conversions,
    sum(conversion_revenue) as revenue, sum(spend) as spend
from floor.daily_metrics group by 1, 2, 3, 4;

create temporary table creative_months on commit drop as
select
    client_id, date_trunc('month', date)::date as period_start, campaign_id, creative_id,
    sum(impressions) as impressions, sum(clicks) as clicks, sum(conversions) as conversions,
    sum(conversion_revenue) as revenue, sum(spend) as spend
from floor.daily_metrics group by 1, 2, 3, 4;

create table floor.weekly_summaries (
    id uuid not null, client_id uuid not null, week_start date not null, week_end date not null, impressions bigint,
    clicks bigint, conversions bigint, revenue decimal(12, 2), spend decimal(12, 2), ctr decimal(12, 6),
    cpc decimal(12, 4), cpa decimal(12, 4), roas decimal(12, 4), top_campaigns jsonb not null,
    top_creatives jsonb not null, created_at timestamp not null
);
create table floor.monthly_summaries (
    id uuid not null, client_id uuid not null, month_start date not null, month_end date not null, impressions bigint,
    clicks bigint, conversions bigint, revenue decimal(12, 2), spend decimal(12, 2), ctr decimal(12, 6),
    cpc decimal(12, 4), cpa decimal(12, 4), roas decimal(12, 4), top_campaigns jsonb not null,
    top_creatives jsonb not null, created_at timestamp not null
);

\set summaries weekly_summaries
\set creative_sums creative_weeks
\set period_end 'period_start + 6'
\ir first_summary.sql
\set summaries monthly_summaries
\set creative_sums creative_months
\set period_end '(period_start + interval ''1 month'' - interval ''1 day'')::date'
\ir first_summary.sql

alter table floor.campaigns add primary key (id);
create unique index on floor.campaigns (client_id, name);
alter table floor.campaigns
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict;

alter table floor.strategies add primary key (id);
create unique index on floor.strategies (campaign_id, name);
create index on floor.strategies (client_id);
alter table floor.strategies
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict,
add foreign key (campaign_id) references floor.campaigns (id) on update cascade on delete restrict;

alter table floor.placements add primary key (id);
create unique index on floor.placements (strategy_id, name);
create index on floor.placements (client_id);
alter table floor.placements
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict,
add foreign key (strategy_id) references floor.strategies (id) on update cascade on delete restrict;

alter table floor.creatives add primary key (id);
create unique index on floor.creatives (placement_id, name);
create index on floor.creatives (client_id);
alter table floor.creatives
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict,
add foreign key (placement_id) references floor.placements (id) on update cascade on delete restrict;

alter table floor.daily_metrics add primary key (id);
create unique index on floor.daily_metrics (date, creative_id);
create index on floor.daily_metrics (client_id, date);
create index on floor.daily_metrics (campaign_id);
create index on floor.daily_metrics (strategy_id);
create index on floor.daily_metrics (placement_id);
create index on floor.daily_metrics (creative_id);
alter table floor.daily_metrics
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict,
add foreign key (campaign_id) references floor.campaigns (id) on update cascade on delete restrict,
add foreign key (strategy_id) references floor.strategies (id) on update cascade on delete restrict,
add foreign key (placement_id) references floor.placements (id) on update cascade on delete restrict,
add foreign key (creative_id) references floor.creatives (id) on update cascade on delete restrict;

alter table floor.weekly_summaries add primary key (id);
create unique index on floor.weekly_summaries (client_id, week_start);
alter table floor.weekly_summaries
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict;

alter table floor.monthly_summaries add primary key (id);
create unique index on floor.monthly_summaries (client_id, month_start);
alter table floor.monthly_summaries
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict;

commit;

analyze floor.campaigns, floor.strategies, floor.placements, floor.creatives, floor.daily_metrics,
floor.weekly_summaries, floor.monthly_summaries;
