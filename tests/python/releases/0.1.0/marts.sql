-- The seven marts as dbt made them in this release: columns, keys, indexes and owner. fill.sql has their rows.
set role media_transformer;

create table media.campaigns (
    id uuid primary key,
    client_id uuid not null,
    name varchar(255) not null,
    created_at timestamp not null,
    updated_at timestamp not null
);
create unique index idx_campaign_client_name on media.campaigns (client_id, name);

create table media.strategies (
    id uuid primary key,
    client_id uuid not null,
    campaign_id uuid not null references media.campaigns (id) on update cascade on delete restrict,
    name varchar(255) not null,
    created_at timestamp not null,
    updated_at timestamp not null
);
create unique index idx_strategy_campaign_name on media.strategies (campaign_id, name);
create index idx_strategy_client on media.strategies (client_id);

create table media.placements (
    id uuid primary key,
    client_id uuid not null,
    strategy_id uuid not null references media.strategies (id) on update cascade on delete restrict,
    name varchar(255) not null,
    created_at timestamp not null,
    updated_at timestamp not null
);
create unique index idx_placement_strategy_name on media.placements (strategy_id, name);
create index idx_placement_client on media.placements (client_id);

create table media.creatives (
    id uuid primary key,
    client_id uuid not null,
    placement_id uuid not null references media.placements (id) on update cascade on delete restrict,
    name varchar(255) not null,
    preview_url text,
    created_at timestamp not null,
    updated_at timestamp not null
);
create unique index idx_creative_placement_name on media.creatives (placement_id, name);
create index idx_creative_client on media.creatives (client_id);

create table media.daily_metrics (
    id uuid primary key,
    client_id uuid not null,
    date date not null,
    campaign_id uuid not null references media.campaigns (id) on update cascade on delete restrict,
    strategy_id uuid not null references media.strategies (id) on update cascade on delete restrict,
    placement_id uuid not null references media.placements (id) on update cascade on delete restrict,
    creative_id uuid not null references media.creatives (id) on update cascade on delete restrict,
    impressions bigint,
    clicks bigint,
    ctr numeric(12, 6),
    conversions bigint,
    conversion_revenue numeric(12, 2),
    spend numeric(12, 2),
    cpc numeric(12, 4),
    cpa numeric(12, 4),
    roas numeric(12, 4),
    created_at timestamp not null,
    updated_at timestamp not null
);
create index idx_metrics_client_date on media.daily_metrics (client_id, date);
create index idx_metrics_campaign on media.daily_metrics (campaign_id);
create index idx_metrics_strategy on media.daily_metrics (strategy_id);
create index idx_metrics_placement on media.daily_metrics (placement_id);
create index idx_metrics_creative on media.daily_metrics (creative_id);
create unique index idx_metrics_date_creative on media.daily_metrics (date, creative_id);

create table media.weekly_summaries (
    id uuid primary key,
    client_id uuid not null,
    week_start date not null,
    week_end date not null,
    impressions bigint,
    clicks bigint,
    conversions bigint,
    revenue numeric(12, 2),
    spend numeric(12, 2),
    ctr numeric(12, 6),
    cpc numeric(12, 4),
    cpa numeric(12, 4),
    roas numeric(12, 4),
    top_campaigns jsonb,
    top_creatives jsonb,
    created_at timestamp not null
);
create unique index idx_weekly_client_week on media.weekly_summaries (client_id, week_start);

create table media.monthly_summaries (
    id uuid primary key,
    client_id uuid not null,
    month_start date not null,
    month_end date not null,
    impressions bigint,
    clicks bigint,
    conversions bigint,
    revenue numeric(12, 2),
    spend numeric(12, 2),
    ctr numeric(12, 6),
    cpc numeric(12, 4),
    cpa numeric(12, 4),
    roas numeric(12, 4),
    top_campaigns jsonb,
    top_creatives jsonb,
    created_at timestamp not null
);
create unique index idx_monthly_client_month on media.monthly_summaries (client_id, month_start);

do $$
declare
    mart text;
begin
    foreach mart in array array[
        'campaigns', 'strategies', 'placements', 'creatives', 'daily_metrics', 'weekly_summaries', 'monthly_summaries'
    ] loop
        execute format(
            'alter table media.%I add foreign key (client_id) references media.clients (id) '
            'on update cascade on delete restrict',
            mart
        );
    end loop;
end
$$;

reset role;
