-- The latest recorded run of every key of a bucket (or of one key), and whether one waits for --retry: the latest
-- that the file itself decided, seen through "same content as", failed for its content or has rejects.
with runs as (
    select *
    from media.ingestion_logs
    where bucket = %(bucket)s and (%(key)s::text is null or object_key = %(key)s)
),

latest as (
    select distinct on (object_key) object_key, id, etag, last_modified, failure
    from runs
    order by object_key, run_number desc
),

decided as (
    select distinct on (object_key) object_key, coalesce(same_content_as, id) as id
    from runs
    where failure is distinct from 'outside'
    order by object_key, run_number desc
),

waiting as (
    select decided.object_key, decided.id
    from decided
    inner join media.ingestion_logs on ingestion_logs.id = decided.id
    where
        ingestion_logs.retracted_at is null
        and (ingestion_logs.failure = 'content' or ingestion_logs.records_failed > 0)
),

waiting_clients as (
    select waiting.object_key, array_agg(distinct rejected_rows.client_name) as names
    from waiting
    inner join media_ops.rejected_rows on rejected_rows.run_id = waiting.id
    where rejected_rows.reason = 'client' and rejected_rows.client_name is not null
    group by waiting.object_key
)

select
    latest.object_key, latest.id, latest.etag, latest.last_modified, latest.failure,
    waiting.id is not null as waits, waiting_clients.names
from latest
left join waiting on waiting.object_key = latest.object_key
left join waiting_clients on waiting_clients.object_key = latest.object_key
