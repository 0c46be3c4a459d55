-- The latest recorded run of every key of a bucket (or of one key), and whether one of its runs waits for --retry.
with latest as (
    select distinct on (object_key) object_key, id, etag, last_modified, failure
    from media.ingestion_logs
    where bucket = %(bucket)s and (%(key)s::text is null or object_key = %(key)s)
    order by object_key, run_number desc
),

waiting as (
    select object_key, run_id
    from media_ops.runs_waiting_for_retry
    where bucket = %(bucket)s and (%(key)s::text is null or object_key = %(key)s)
)

select
    latest.object_key, latest.id, latest.etag, latest.last_modified, latest.failure,
    waiting.run_id is not null as waits
from latest
left join waiting on waiting.object_key = latest.object_key
