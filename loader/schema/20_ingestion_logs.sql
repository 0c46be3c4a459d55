-- Every attempt to ingest an object. A row is born 'failed', 'interrupted', in a transaction of its own, and
-- turns 'success' in the transaction that makes its rows visible: a killed loader leaves the truth behind.
create table if not exists media.ingestion_logs (
    id uuid primary key,
    run_date date,
    status varchar(20) not null check (status in ('success', 'failed')),
    message text,
    records_loaded int not null default 0 check (records_loaded >= 0),
    records_failed int not null default 0 check (records_failed >= 0),
    started_at timestamp not null default (now() at time zone 'utc'),
    finished_at timestamp,
    file_name varchar(255),
    created_at timestamp not null default (now() at time zone 'utc'),
    run_number bigint not null generated always as identity unique,
    feed text not null,
    feed_location text not null,
    bucket text not null,
    object_key text not null,
    object_uri text not null,
    etag text,
    version_id text,
    last_modified timestamp not null,
    size_bytes bigint,
    sha256 text,
    client_id uuid references media.clients (id) on update cascade on delete restrict,
    failure text check (failure in ('content', 'outside')),
    same_content_as uuid references media.ingestion_logs (id) on update cascade on delete restrict,
    retracted_at timestamp,
    check ((status = 'failed') = (failure is not null)),
    check (status = 'success' or records_loaded = 0)
);
select media_ops.set_id_default('media.ingestion_logs');
comment on column media.ingestion_logs.feed is 'The name of the feed when the run began.';
comment on column media.ingestion_logs.feed_location is 'The identity of the feed: s3://bucket/prefix.';
comment on column media.ingestion_logs.client_id is
'The client that the key names, where the feed takes it from there.';
comment on column media.ingestion_logs.failure is
'content: waits for media load --retry or a new delivery; outside: killed, network, server: tried again.';
comment on column media.ingestion_logs.same_content_as is
'The object held the content of this run, which is in force: this attempt is no run of its own.';
comment on column media.ingestion_logs.retracted_at is 'Since when the rows of this run no longer count.';

create index if not exists idx_ingestion_logs_object on media.ingestion_logs (bucket, object_key, run_number);
create index if not exists idx_ingestion_logs_started_at on media.ingestion_logs (started_at);

grant select, insert, update on media.ingestion_logs to media_loader;
grant select on media.ingestion_logs to media_transformer, media_reader;
