-- Clients that have no CPM at all, or rows on a day for which none is in force.
select clients.name
from media.clients
where
    clients.id not in (select cpm_periods.client_id from media_ops.cpm_periods)
    or clients.id in (
        select run_days.client_id
        from media_ops.run_days
        inner join media_ops.runs_that_count on run_days.run_id = runs_that_count.run_id
        where not exists (
            select
            from media_ops.cpm_periods
            where
                cpm_periods.client_id = run_days.client_id
                and cpm_periods.first_date <= run_days.date and run_days.date < cpm_periods.next_date
        )
    )
order by lower(clients.name)
