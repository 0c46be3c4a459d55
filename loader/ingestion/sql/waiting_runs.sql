-- Of every key the latest run that the file itself decided, seen through "same content as": where it failed for its
-- content or has rejects, it waits for --retry. (latest_runs.sql says the same beside what is recorded.)
select decided.id, ingestion_logs.records_failed
from (
    select distinct on (bucket, object_key) coalesce(same_content_as, id) as id
    from media.ingestion_logs
    where failure is distinct from 'outside'
    order by bucket, object_key, run_number desc
) as decided
inner join media.ingestion_logs on ingestion_logs.id = decided.id
where
    ingestion_logs.retracted_at is null
    and (ingestion_logs.failure = 'content' or ingestion_logs.records_failed > 0)
