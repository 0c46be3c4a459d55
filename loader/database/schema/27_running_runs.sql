-- A run is in progress while the transaction that loads its object is. (pg_xact_status refuses a transaction that this
-- server has not seen, which a restored ingestion_logs can name.)
create view media_ops.wanted as
select ingestion_logs.id as run_id
from media.ingestion_logs
where
    ingestion_logs.finished_at is null
    and case
        when ingestion_logs.loading_transaction < pg_snapshot_xmax(pg_current_snapshot())
            then pg_xact_status(ingestion_logs.loading_transaction) = 'in progress'
    end;
select media_ops.set_view('media_ops.running_runs');
comment on view media_ops.running_runs is 'The runs that are in progress.';
comment on column media_ops.running_runs.run_id is 'The run: ingestion_logs.id.';
grant select on media_ops.running_runs to media_loader, media_transformer;
