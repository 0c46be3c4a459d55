-- The runs that count: they succeeded, are not retracted, and staged their content themselves. The only definition of
-- this. Which of them are in force is decided by int_runs_in_force.
create view media_ops.wanted as
select
    ingestion_logs.id as run_id,
    ingestion_logs.run_number,
    coalesce(feed_places.feed_location, ingestion_logs.feed_location) as feed_location,
    ingestion_logs.bucket,
    ingestion_logs.object_key,
    -- a run of an earlier release has no row in run_keys until a command reads feeds.yml
    case when run_keys.run_id is null then ingestion_logs.client_id else run_keys.client_id end as client_id,
    ingestion_logs.sha256,
    -- A retry never brings a superseded day back, even if the object was copied in place before it.
    coalesce(ingestion_logs.delivered_at, ingestion_logs.last_modified) as last_modified,
    ingestion_logs.finished_at,
    media_ops.file_of(
        ingestion_logs.object_uri, ingestion_logs.feed_location,
        coalesce(feed_places.feed_location, ingestion_logs.feed_location)
    ) as file,
    run_keys.key_date,
    run_keys.part,
    run_keys.delivery
from media.ingestion_logs
left join media_ops.feed_places on ingestion_logs.feed_location = feed_places.location
left join media_ops.run_keys on ingestion_logs.id = run_keys.run_id
where
    ingestion_logs.status = 'success'
    and ingestion_logs.same_content_as is null
    and ingestion_logs.retracted_at is null;
select media_ops.set_view('media_ops.runs_that_count');
comment on view media_ops.runs_that_count is
'The runs that count: they succeeded, are not retracted, and staged their content themselves.';
comment on column media_ops.runs_that_count.run_id is 'The run: ingestion_logs.id.';
comment on column media_ops.runs_that_count.run_number is
'The number of the attempt, in the order in which attempts began.';
comment on column media_ops.runs_that_count.feed_location is
'The current location of the feed, which identifies it: s3://bucket/prefix/.';
comment on column media_ops.runs_that_count.bucket is 'The object''s bucket.';
comment on column media_ops.runs_that_count.object_key is 'The object''s full key.';
comment on column media_ops.runs_that_count.client_id is
'The client that the key names, if the feed takes the client from the key and the client is known.';
comment on column media_ops.runs_that_count.sha256 is 'The SHA-256 of the object''s decompressed content.';
comment on column media_ops.runs_that_count.last_modified is
'The last-modified time in S3 with which this content was delivered, UTC.';
comment on column media_ops.runs_that_count.finished_at is 'When the run ended, UTC.';
comment on column media_ops.runs_that_count.file is 'The object''s key below the feed''s location.';
comment on column media_ops.runs_that_count.key_date is 'The date in the key; null: none.';
comment on column media_ops.runs_that_count.part is
'The part that the key names; null: the feed''s key_pattern has no group part.';
comment on column media_ops.runs_that_count.delivery is
'The delivery that the key names; null: the feed''s key_pattern has no group delivery.';
grant select on media_ops.runs_that_count to media_loader, media_transformer;
