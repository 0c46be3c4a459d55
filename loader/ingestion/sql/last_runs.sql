-- The last runs, the newest first. A run that has not ended and whose object's lock is held is running.
select
    ingestion_logs.id::text,
    ingestion_logs.feed,
    ingestion_logs.object_uri,
    case
        when ingestion_logs.retracted_at is not null then 'retracted'
        when
            ingestion_logs.finished_at is null and exists (
                select
                from pg_locks
                where
                    pg_locks.locktype = 'advisory' and pg_locks.granted and pg_locks.objsubid = 2
                    and pg_locks.database = (select oid from pg_database where datname = current_database())
                    and pg_locks.classid = hashtext(ingestion_logs.bucket)::oid
                    and pg_locks.objid = hashtext(ingestion_logs.object_key)::oid
            )
            and not exists (
                select
                from media.ingestion_logs as later
                where
                    later.bucket = ingestion_logs.bucket and later.object_key = ingestion_logs.object_key
                    and later.run_number > ingestion_logs.run_number
            )
            then 'running'
        else ingestion_logs.status
    end,
    ingestion_logs.started_at,
    ingestion_logs.records_loaded,
    ingestion_logs.records_failed,
    ingestion_logs.message
from media.ingestion_logs
order by ingestion_logs.run_number desc
limit %(limit)s
