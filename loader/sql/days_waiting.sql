-- The (client, date)s that were built from other runs than those which stand there now, or never. What else the next
-- transform recomputes (another CPM, alias or redelivery), it finds out itself.
with staged as (
    select run_days.client_id, run_days.date, array_agg(run_days.run_id order by run_days.run_id) as runs
    from media_ops.run_days
    inner join media.ingestion_logs on ingestion_logs.id = run_days.run_id
    where ingestion_logs.status = 'success' and ingestion_logs.retracted_at is null
    group by run_days.client_id, run_days.date
)

select count(*)
from staged
full join media_ops.days_built on days_built.client_id = staged.client_id and days_built.date = staged.date
where
    case
        when days_built.client_id is null then true
        when days_built.fingerprint is null then true
        else
            coalesce(staged.runs, '{}') is distinct from (
                select coalesce(array_agg(built.id order by built.id), '{}')
                from unnest(days_built.staged_run_ids) as built (id)
            )
    end
