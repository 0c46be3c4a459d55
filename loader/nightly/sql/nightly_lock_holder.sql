-- The session that holds the lock of the nightly flow, and since when (null: of another login, which may hide it).
select
    coalesce(nullif(pg_stat_activity.application_name, ''), 'a session'),
    pg_stat_activity.usename,
    pg_stat_activity.pid,
    pg_stat_activity.xact_start
from pg_locks
inner join pg_stat_activity on pg_locks.pid = pg_stat_activity.pid
where
    pg_locks.relation = 'media_ops.nightly_flow_lock'::regclass and pg_locks.granted
    and pg_locks.database = (select pg_database.oid from pg_database where pg_database.datname = current_database())
