-- The rows of every successful run, as staged. What counts today is decided downstream (int_live_runs).
create table if not exists media.staging_media_raw (
    id uuid primary key,
    ingestion_run_id uuid not null,
    client_id uuid not null references media.clients (id) on update cascade on delete restrict,
    date date not null,
    campaign_name varchar(255) not null,
    strategy_name varchar(255) not null,
    placement_name varchar(255) not null,
    creative_name varchar(255) not null,
    impressions bigint not null,
    clicks bigint not null,
    ctr decimal(12, 6),
    conversions bigint not null,
    conversion_revenue decimal(12, 2) not null,
    created_at timestamp not null default (now() at time zone 'utc')
);
select media_ops.set_id_default('media.staging_media_raw');

-- The one way in: the builds read the rows of a run for the days that they rebuild.
create index if not exists idx_staging_run_client_date
on media.staging_media_raw (ingestion_run_id, client_id, date);

-- Staged rows are never updated: a correction is another run.
grant select, insert on media.staging_media_raw to media_loader;
grant select on media.staging_media_raw to media_transformer, media_reader;
