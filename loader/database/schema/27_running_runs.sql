-- The advisory lock that a loader holds while it loads an object.
create or replace function media_ops.object_lock(
    bucket text, object_key text, out class_id int, out object_id int
)
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
    select hashtext(bucket), hashtext(object_key)
$$;
revoke all on function media_ops.object_lock(text, text) from public;
grant execute on function media_ops.object_lock(text, text) to media_loader, media_transformer;

-- A run is in progress if it has not ended, is the latest of its object, and the object's lock is held.
create view media_ops.wanted as
select ingestion_logs.id as run_id
from media.ingestion_logs
cross join lateral media_ops.object_lock(ingestion_logs.bucket, ingestion_logs.object_key) as wanted_lock
where
    ingestion_logs.finished_at is null
    and exists (
        select
        from pg_locks
        inner join pg_database on pg_locks.database = pg_database.oid
        where
            pg_locks.locktype = 'advisory' and pg_locks.granted and pg_locks.objsubid = 2
            and pg_database.datname = current_database()
            and pg_locks.classid = wanted_lock.class_id::oid
            and pg_locks.objid = wanted_lock.object_id::oid
    )
    and not exists (
        select
        from media.ingestion_logs as later
        where
            later.bucket = ingestion_logs.bucket and later.object_key = ingestion_logs.object_key
            and later.run_number > ingestion_logs.run_number
    );
select media_ops.set_view('media_ops.running_runs');
comment on view media_ops.running_runs is 'The runs that are in progress.';
comment on column media_ops.running_runs.run_id is 'The run: ingestion_logs.id.';
grant select on media_ops.running_runs to media_loader, media_transformer;
