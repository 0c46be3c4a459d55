-- The runs that count: they succeeded, are not retracted, and staged their content themselves. The only definition of
-- this. Which of them are in force is decided by int_runs_in_force.
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
'The runs that count: they succeeded, are not retracted, and staged their content themselves.';
comment on column media_ops.runs_that_count.run_id is 'The run: ingestion_logs.id.';
comment on column media_ops.runs_that_count.run_number is
'The number of the attempt, in the order in which attempts began.';
comment on column media_ops.runs_that_count.feed_location is
'The location of the feed, which identifies it: s3://bucket/prefix/.';
comment on column media_ops.runs_that_count.bucket is 'The object''s bucket.';
comment on column media_ops.runs_that_count.object_key is 'The object''s full key.';
comment on column media_ops.runs_that_count.client_id is
'The client that the key names, if the feed takes the client from the key.';
comment on column media_ops.runs_that_count.sha256 is 'The SHA-256 of the object''s decompressed content.';
comment on column media_ops.runs_that_count.last_modified is 'The object''s last-modified time in S3, UTC.';
comment on column media_ops.runs_that_count.finished_at is 'When the run ended, UTC.';
grant select on media_ops.runs_that_count to media_loader, media_transformer;
