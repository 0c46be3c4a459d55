-- The (client, date)s that the next transform recomputes, before dbt has made the view that knows: all that runs cover.
select count(distinct (run_days.client_id, run_days.date))
from media_ops.run_days
inner join media.ingestion_logs on ingestion_logs.id = run_days.run_id
where ingestion_logs.status = 'success' and ingestion_logs.retracted_at is null
