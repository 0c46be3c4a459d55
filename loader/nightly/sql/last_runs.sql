-- The last runs, the newest first.
select
    ingestion_logs.id::text,
    ingestion_logs.feed,
    ingestion_logs.object_uri,
    case
        when ingestion_logs.retracted_at is not null then 'retracted'
        when running_runs.run_id is not null then 'running'
        else ingestion_logs.status
    end,
    ingestion_logs.started_at,
    ingestion_logs.records_loaded,
    ingestion_logs.records_failed,
    ingestion_logs.message
from media.ingestion_logs
left join media_ops.running_runs on ingestion_logs.id = running_runs.run_id
order by ingestion_logs.run_number desc
limit %(limit)s
