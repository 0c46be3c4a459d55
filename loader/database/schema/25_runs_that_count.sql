-- The runs whose rows count, before deliveries are compared: they succeeded, are not retracted, and staged the
-- content themselves. The only place that says so.
create view media_ops.wanted as
select
    ingestion_logs.id as run_id,
    ingestion_logs.run_number,
    ingestion_logs.feed_location,
    ingestion_logs.bucket,
    ingestion_logs.object_key,
    ingestion_logs.client_id,
    ingestion_logs.sha256,
    ingestion_logs.last_modified,
    ingestion_logs.finished_at
from media.ingestion_logs
where
    ingestion_logs.status = 'success'
    and ingestion_logs.same_content_as is null
    and ingestion_logs.retracted_at is null;
select media_ops.set_view('media_ops.runs_that_count');
comment on view media_ops.runs_that_count is
'The runs whose rows count: they succeeded, are not retracted, and did not only find the same content again.';
comment on column media_ops.runs_that_count.run_id is 'The run: ingestion_logs.id.';
comment on column media_ops.runs_that_count.run_number is 'The order in which attempts began.';
comment on column media_ops.runs_that_count.feed_location is 'The identity of the feed: s3://bucket/prefix.';
comment on column media_ops.runs_that_count.bucket is 'The object''s bucket.';
comment on column media_ops.runs_that_count.object_key is 'The object''s key, whole.';
comment on column media_ops.runs_that_count.client_id is
'The client that the key names, where the feed takes it from there.';
comment on column media_ops.runs_that_count.sha256 is 'Of the object''s decompressed content.';
comment on column media_ops.runs_that_count.last_modified is 'Since when S3 holds the object, UTC.';
comment on column media_ops.runs_that_count.finished_at is 'When the run ended, UTC.';
grant select on media_ops.runs_that_count to media_loader, media_transformer;
