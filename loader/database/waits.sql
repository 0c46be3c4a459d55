-- The sessions that the given sessions wait for, each with when its transaction began (null: it may not be seen).
select distinct
    coalesce(nullif(holders.application_name, ''), 'a session'),
    coalesce(holders.usename, 'PostgreSQL'),
    holders.pid,
    holders.xact_start
from unnest(%(pids)s::int []) as waiting (pid)
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocking (pid)
inner join pg_stat_activity as holders on blocking.pid = holders.pid
where holders.pid <> all(%(pids)s)
