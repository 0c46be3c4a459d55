-- The locks of nightly flows, builds and loads. None of them is an advisory lock: everyone who can log in may take an
-- advisory lock, so a client's login could stop a load. These need a privilege on a table. They end with their
-- transaction, so a connection pool never keeps one.

-- LOCK TABLE on these locks what they are named after. They have no columns and no rows. (A comment waits for whoever
-- holds the lock, so it is written only once.)
do $$
declare
    lock_name text;
    meaning text;
begin
    for lock_name, meaning in values
        ('nightly_flow_lock', 'Locked by the nightly flow: only one at a time runs.'),
        ('marts_lock', 'Locked by builds: only one at a time writes the marts.'),
        ('views_lock', 'Locked by builds: only one at a time replaces a view.')
    loop
        if to_regclass('media_ops.' || lock_name) is null then
            execute format('create table media_ops.%I ()', lock_name);
            execute format('comment on table media_ops.%I is %L', lock_name, meaning);
        end if;
    end loop;
end
$$;
-- LOCK TABLE needs one of the privileges that change rows
grant delete on media_ops.nightly_flow_lock to media_loader;
grant delete on media_ops.marts_lock, media_ops.views_lock to media_transformer;

-- A loader inserts a row for its object and deletes it again in the same transaction, so nobody ever sees a row. A
-- second loader that inserts the same row waits for the end of that transaction: this is the object's lock.
create table if not exists media_ops.objects_loading (
    bucket text not null,
    object_key text not null,
    primary key (bucket, object_key)
);
comment on table media_ops.objects_loading is 'Always empty: its primary key serves loaders as the lock of an object.';
comment on column media_ops.objects_loading.bucket is 'The object''s bucket.';
comment on column media_ops.objects_loading.object_key is 'The object''s full key.';
grant select, insert, delete on media_ops.objects_loading to media_loader;

-- Takes the lock of an object; returns the id of the transaction that now holds it, or null after 2 seconds of waiting.
create or replace function media_ops.lock_object(bucket text, object_key text) returns xid8
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
begin
    insert into media_ops.objects_loading (bucket, object_key) values (lock_object.bucket, lock_object.object_key);
    return pg_current_xact_id();
exception when lock_not_available then
    return null;
end
$$;
revoke all on function media_ops.lock_object(text, text) from public;
grant execute on function media_ops.lock_object(text, text) to media_loader;

-- Runs a statement that needs a lock on a relation. Waits in turns, because other sessions queue behind one that waits:
-- with a pause between the turns, those that only read get through. A turn is a little longer than deadlock_timeout,
-- after which PostgreSQL looks for deadlocks and stops an autovacuum that is in the way. Gives up after `at_most`.
create or replace function media_ops.run_when_free(
    relation regclass, statement text, at_most interval default '1 hour', pause interval default '0'
) returns void
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
    began constant timestamptz := clock_timestamp();
    holders text;
begin
    perform set_config(
        'lock_timeout', format('%sms', 500 + 1000 * extract(epoch from current_setting('deadlock_timeout')::interval)), true
    );
    loop
        begin
            execute statement;
            return;
        exception when lock_not_available then
            if clock_timestamp() > began + at_most then
                select string_agg(concat(program, ' (pid ', pid, ' of ' || login, ')'), ' and ') into holders
                from (
                    select distinct
                        pg_locks.pid,
                        pg_stat_activity.usename as login,
                        coalesce(nullif(pg_stat_activity.application_name, ''), 'a session') as program
                    from pg_locks
                    join pg_stat_activity on pg_stat_activity.pid = pg_locks.pid
                    where pg_locks.relation = run_when_free.relation and pg_locks.granted
                ) as sessions;
                raise lock_not_available using message = format(
                    '%s is in use by %s: waited %s and gave up; end that session, or try again later',
                    relation, coalesce(holders, 'another session'), at_most
                );
            end if;
        end;
        perform pg_sleep_for(pause);
    end loop;
end
$$;
revoke all on function media_ops.run_when_free(regclass, text, interval, interval) from public;
grant execute on function media_ops.run_when_free(regclass, text, interval, interval) to media_transformer;
