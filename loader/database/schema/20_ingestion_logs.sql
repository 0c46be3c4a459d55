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
comment on table media.ingestion_logs is 'Every attempt to ingest an object: one row is one run.';
comment on column media.ingestion_logs.id is 'The run.';
comment on column media.ingestion_logs.run_date is
'Date of the file: the key''s, else the latest in the file, else its last-modified day.';
comment on column media.ingestion_logs.status is 'success or failed; a run at work stands as failed, interrupted.';
comment on column media.ingestion_logs.message is 'One sentence on what became of it.';
comment on column media.ingestion_logs.records_loaded is 'Rows staged; 0 if it failed.';
comment on column media.ingestion_logs.records_failed is 'Rows rejected.';
comment on column media.ingestion_logs.started_at is 'When the attempt began, UTC.';
comment on column media.ingestion_logs.finished_at is 'When it ended, UTC; null: at work, or killed.';
comment on column media.ingestion_logs.file_name is 'The last 255 characters of the object''s key.';
comment on column media.ingestion_logs.created_at is 'When the row was made, UTC.';
comment on column media.ingestion_logs.run_number is 'The order in which attempts began.';
comment on column media.ingestion_logs.bucket is 'The object''s bucket.';
comment on column media.ingestion_logs.object_key is 'The object''s key, whole.';
comment on column media.ingestion_logs.object_uri is 's3://bucket/key.';
comment on column media.ingestion_logs.etag is 'The object''s ETag.';
comment on column media.ingestion_logs.version_id is 'The object''s version, in a versioned bucket.';
comment on column media.ingestion_logs.last_modified is
'Since when S3 holds it, UTC; renewed when the same content is found again.';
comment on column media.ingestion_logs.size_bytes is 'Its size as stored.';
comment on column media.ingestion_logs.sha256 is 'Of its decompressed content.';
comment on column media.ingestion_logs.feed is 'The name of the feed when the run began.';
comment on column media.ingestion_logs.feed_location is 'The identity of the feed: s3://bucket/prefix.';
comment on column media.ingestion_logs.client_id is
'The client that the key names, where the feed takes it from there.';
comment on column media.ingestion_logs.failure is
'content: waits for media load --retry or a new delivery; outside: killed, network, server: tried again.';
comment on column media.ingestion_logs.same_content_as is
'The object held the content of this run, which is in force: this attempt is no run of its own.';
comment on column media.ingestion_logs.retracted_at is 'Since when the rows of this run no longer count.';

select media_ops.add_index('media.ingestion_logs', 'idx_ingestion_logs_object', '(bucket, object_key, run_number)');
select media_ops.add_index('media.ingestion_logs', 'idx_ingestion_logs_started_at', '(started_at)');

grant select, insert, update on media.ingestion_logs to media_loader;
grant select on media.ingestion_logs to media_transformer, media_reader;
