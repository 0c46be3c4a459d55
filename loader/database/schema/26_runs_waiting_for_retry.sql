-- The runs whose file waits for `media load --retry`. For each object, takes the latest run whose outcome depended on
-- the content (not on the network or a killed loader); if it found the same content again, the run that staged that
-- content. The file waits if this run failed because of its content, or has rejected rows. With same_key: adds, the
-- same for each content that the object had.
create view media_ops.wanted as
select
    decided.bucket,
    decided.object_key,
    run.id as run_id,
    run.records_failed,
    decided.etag,
    decided.last_modified
from (
    select distinct on (attempts.bucket, attempts.object_key, version)
        attempts.bucket,
        attempts.object_key,
        attempts.etag,
        attempts.last_modified,
        coalesce(attempts.same_content_as, attempts.id) as run_id,
        case when feeds.same_key = 'adds' then coalesce(attempts.sha256, attempts.etag) end as version
    from media.ingestion_logs as attempts
    left join media_ops.feed_places on attempts.feed_location = feed_places.location
    left join media_ops.feeds on feed_places.feed_location = feeds.location
    where attempts.failure is distinct from 'outside'
    order by attempts.bucket, attempts.object_key, version, attempts.run_number desc
) as decided
-- With a limit, PostgreSQL looks up each run by its id: a query for one bucket does not read the runs of the others.
cross join
    lateral (
        select
            ingestion_logs.id,
            ingestion_logs.records_failed,
            ingestion_logs.failure,
            ingestion_logs.retracted_at
        from media.ingestion_logs
        where ingestion_logs.id = decided.run_id
        order by ingestion_logs.id limit 1
    ) as run
where run.retracted_at is null and (run.failure = 'content' or run.records_failed > 0);
select media_ops.set_view('media_ops.runs_waiting_for_retry');
comment on view media_ops.runs_waiting_for_retry is
'The runs whose file waits for media load --retry: they failed because of its content or have rejected rows.';
comment on column media_ops.runs_waiting_for_retry.bucket is 'The object''s bucket.';
comment on column media_ops.runs_waiting_for_retry.object_key is 'The object''s full key.';
comment on column media_ops.runs_waiting_for_retry.run_id is 'The run: ingestion_logs.id.';
comment on column media_ops.runs_waiting_for_retry.records_failed is 'Number of rows rejected.';
comment on column media_ops.runs_waiting_for_retry.etag is 'The ETag of the object when it was last read.';
comment on column media_ops.runs_waiting_for_retry.last_modified is
'The last-modified time of the object when it was last read, UTC.';
grant select on media_ops.runs_waiting_for_retry to media_loader, media_transformer;
