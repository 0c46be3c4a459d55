-- Every attempt to ingest an object. A row is inserted as failed ("interrupted") in a transaction of its own, and set
-- to success in the transaction that makes its rows visible, so that a killed loader leaves a correct record.
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
    loading_transaction xid8,
    records_skipped int not null default 0 check (records_skipped >= 0),
    delivered_at timestamp,
    check ((status = 'failed') = (failure is not null)),
    check (status = 'success' or records_loaded = 0)
);
select media_ops.set_id_default('media.ingestion_logs');
select media_ops.add_column('media.ingestion_logs', 'loading_transaction', 'xid8');
select media_ops.add_column(
    'media.ingestion_logs', 'records_skipped', 'int not null default 0 check (records_skipped >= 0)'
);
select media_ops.add_column('media.ingestion_logs', 'delivered_at', 'timestamp');
comment on table media.ingestion_logs is 'Every attempt to ingest an object: one row is one run.';
comment on column media.ingestion_logs.id is 'The run.';
comment on column media.ingestion_logs.run_date is
'Date of the file: the date in its key, else the latest date in its rows, else its last-modified day.';
comment on column media.ingestion_logs.status is
'success or failed. While a run is in progress: failed, with the message "interrupted".';
comment on column media.ingestion_logs.message is 'What happened, in one sentence.';
comment on column media.ingestion_logs.records_loaded is 'Number of rows staged; 0 if the run failed.';
comment on column media.ingestion_logs.records_failed is 'Number of rows rejected.';
comment on column media.ingestion_logs.records_skipped is 'Number of rows that skip left out.';
comment on column media.ingestion_logs.started_at is 'When the attempt began, UTC.';
comment on column media.ingestion_logs.finished_at is 'When the attempt ended, UTC; null: in progress, or killed.';
comment on column media.ingestion_logs.file_name is 'The last 255 characters of the object''s key.';
comment on column media.ingestion_logs.created_at is 'When the row was inserted, UTC.';
comment on column media.ingestion_logs.run_number is 'The number of the attempt, in the order in which attempts began.';
comment on column media.ingestion_logs.bucket is 'The object''s bucket.';
comment on column media.ingestion_logs.object_key is 'The object''s full key.';
comment on column media.ingestion_logs.object_uri is 's3://bucket/key.';
comment on column media.ingestion_logs.etag is 'The object''s ETag.';
comment on column media.ingestion_logs.version_id is 'The object''s version, in a versioned bucket.';
comment on column media.ingestion_logs.last_modified is
'The object''s last-modified time in S3 when this attempt read it, UTC.';
comment on column media.ingestion_logs.delivered_at is
'Of a retry: the last-modified time of the run whose content it loads again, UTC. Null: last_modified.';
comment on column media.ingestion_logs.size_bytes is 'Its size in S3, in bytes.';
comment on column media.ingestion_logs.sha256 is 'The SHA-256 of its decompressed content.';
comment on column media.ingestion_logs.feed is 'The name of the feed when the run began.';
comment on column media.ingestion_logs.feed_location is
'The location of the feed, which identifies it: s3://bucket/prefix/.';
comment on column media.ingestion_logs.client_id is
'The client that the key names, if the feed takes the client from the key.';
comment on column media.ingestion_logs.failure is
'content: waits for media load --retry or a new delivery; outside: killed, network or server, tried again.';
comment on column media.ingestion_logs.same_content_as is
'The run, in force or retracted, that staged the same content; this attempt staged nothing.';
comment on column media.ingestion_logs.retracted_at is
'When the run was retracted, UTC. A retracted run does not count.';
comment on column media.ingestion_logs.loading_transaction is
'The transaction that loads the object. While it is in progress, so is the run.';

select media_ops.add_index('media.ingestion_logs', 'idx_ingestion_logs_object', '(bucket, object_key, run_number)');
select media_ops.add_index('media.ingestion_logs', 'idx_ingestion_logs_started_at', '(started_at)');

grant select, insert, update on media.ingestion_logs to media_loader;
grant select on media.ingestion_logs to media_transformer, media_reader;
