-- Clients that have no CPM at all, or rows on a day for which none is in force.
select clients.name
from media.clients
where
    not exists (select 1 from media.client_settings where client_settings.client_id = clients.id)
    or exists (
        select 1
        from media_ops.run_days
        inner join media.ingestion_logs on ingestion_logs.id = run_days.run_id
        where
            run_days.client_id = clients.id
            and ingestion_logs.status = 'success' and ingestion_logs.retracted_at is null
            and not exists (
                select 1
                from media.client_settings
                where
                    client_settings.client_id = run_days.client_id
                    and coalesce(client_settings.effective_date, '-infinity') <= run_days.date
            )
    )
order by lower(clients.name)
