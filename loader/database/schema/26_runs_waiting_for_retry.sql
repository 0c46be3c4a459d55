-- The runs whose file waits for `media load --retry`. For each object, takes the latest run whose outcome depended on
-- the content (not on the network or a killed loader); if it found the same content again, the run that staged that
-- content. The file waits if this run failed because of its content, or has rejected rows.
create view media_ops.wanted as
select
    decided.bucket,
    decided.object_key,
    ingestion_logs.id as run_id,
    ingestion_logs.records_failed
from (
    select distinct on (attempts.bucket, attempts.object_key)
        attempts.bucket,
        attempts.object_key,
        coalesce(attempts.same_content_as, attempts.id) as run_id
    from media.ingestion_logs as attempts
    where attempts.failure is distinct from 'outside'
    order by attempts.bucket, attempts.object_key, attempts.run_number desc
) as decided
-- The run belongs to the same object. Joining on bucket and key, too, lets a query for one bucket read only its runs.
inner join media.ingestion_logs
    on
        decided.run_id = ingestion_logs.id
        and decided.bucket = ingestion_logs.bucket and decided.object_key = ingestion_logs.object_key
where
    ingestion_logs.retracted_at is null
    and (ingestion_logs.failure = 'content' or ingestion_logs.records_failed > 0);
select media_ops.set_view('media_ops.runs_waiting_for_retry');
comment on view media_ops.runs_waiting_for_retry is
'The runs whose file waits for media load --retry: they failed because of its content or have rejected rows.';
comment on column media_ops.runs_waiting_for_retry.bucket is 'The object''s bucket.';
comment on column media_ops.runs_waiting_for_retry.object_key is 'The object''s full key.';
comment on column media_ops.runs_waiting_for_retry.run_id is 'The run: ingestion_logs.id.';
comment on column media_ops.runs_waiting_for_retry.records_failed is 'Number of rows rejected.';
grant select on media_ops.runs_waiting_for_retry to media_loader, media_transformer;
