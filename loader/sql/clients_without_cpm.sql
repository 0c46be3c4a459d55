-- Clients with rows on a day for which no CPM is in force.
select distinct clients.name
from media_ops.run_days
inner join media.ingestion_logs on ingestion_logs.id = run_days.run_id
inner join media.clients on clients.id = run_days.client_id
where
    ingestion_logs.status = 'success' and ingestion_logs.retracted_at is null
    and not exists (
        select
        from media.client_settings
        where
            client_settings.client_id = run_days.client_id
            and coalesce(client_settings.effective_date, '-infinity') <= run_days.date
    )
order by clients.name
