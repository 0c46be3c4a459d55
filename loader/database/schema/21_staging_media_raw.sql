-- The rows of every successful run, as staged. Which of them are live is decided by int_live_run_days.
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
comment on table media.staging_media_raw is
'The rows of every successful run, as staged. Which of them are live is decided by int_live_run_days.';
comment on column media.staging_media_raw.id is 'The row.';
comment on column media.staging_media_raw.ingestion_run_id is 'The run that staged it: ingestion_logs.id.';
comment on column media.staging_media_raw.client_id is 'The client.';
comment on column media.staging_media_raw.date is 'Reporting date.';
comment on column media.staging_media_raw.campaign_name is 'As delivered, trimmed and NFC; (not set) if blank.';
comment on column media.staging_media_raw.strategy_name is 'As delivered, trimmed and NFC; (not set) if blank.';
comment on column media.staging_media_raw.placement_name is 'As delivered, trimmed and NFC; (not set) if blank.';
comment on column media.staging_media_raw.creative_name is 'As delivered, trimmed and NFC; (not set) if blank.';
comment on column media.staging_media_raw.impressions is 'Times an ad was shown.';
comment on column media.staging_media_raw.clicks is 'Clicks on the ad.';
comment on column media.staging_media_raw.ctr is
'The click-through rate that the partner reports, as a fraction. Not used for any figure.';
comment on column media.staging_media_raw.conversions is 'Number of conversions.';
comment on column media.staging_media_raw.conversion_revenue is 'Revenue from the conversions; may be negative.';
comment on column media.staging_media_raw.created_at is 'When the row was staged, UTC.';

-- The only index for reading: builds read the rows of a run for the days that they rebuild.
select media_ops.add_index(
    'media.staging_media_raw', 'idx_staging_run_client_date', '(ingestion_run_id, client_id, date)'
);

-- No update or delete: staged rows never change. A correction is another run.
grant select, insert on media.staging_media_raw to media_loader;
grant select on media.staging_media_raw to media_transformer, media_reader;
