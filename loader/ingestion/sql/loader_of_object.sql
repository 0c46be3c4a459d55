-- The session that loads an object, and since when.
select
    coalesce(nullif(pg_stat_activity.application_name, ''), 'a session'),
    pg_stat_activity.usename,
    pg_stat_activity.pid,
    ingestion_logs.started_at
from media.ingestion_logs
inner join media_ops.running_runs on ingestion_logs.id = running_runs.run_id
inner join pg_locks on pg_locks.transactionid = ingestion_logs.loading_transaction::xid and pg_locks.granted
inner join pg_stat_activity on pg_locks.pid = pg_stat_activity.pid
where ingestion_logs.bucket = %s and ingestion_logs.object_key = %s
order by ingestion_logs.run_number desc
limit 1
