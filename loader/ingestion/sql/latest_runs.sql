-- The latest recorded run of every key of a bucket (or of one key), and the run of it that waits for --retry.
-- With same_key: adds, the same of every version of each key, which its ETag and last-modified time identify.
with latest as (
    select distinct on (object_key, version_etag, version_modified)
        object_key,
        case when %(adds)s then etag end as version_etag,
        case when %(adds)s then last_modified end as version_modified,
        id,
        etag,
        last_modified,
        failure
    from media.ingestion_logs
    where bucket = %(bucket)s and (%(key)s::text is null or object_key = %(key)s)
    order by object_key, version_etag, version_modified, run_number desc
),

waiting as (
    select object_key, etag, last_modified, run_id
    from media_ops.runs_waiting_for_retry
    where bucket = %(bucket)s and (%(key)s::text is null or object_key = %(key)s)
)

select
    latest.object_key, latest.version_etag, latest.version_modified,
    latest.id, latest.etag, latest.last_modified, latest.failure, waiting.run_id as waiting
from latest
left join waiting
    on
        latest.object_key = waiting.object_key
        and (not %(adds)s or (latest.etag, latest.last_modified) = (waiting.etag, waiting.last_modified))
