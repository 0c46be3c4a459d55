-- Updates the planner's statistics of the tables that builds read, if more than a tenth of a table has changed. Just
-- after a big load autovacuum has not run yet, and a plan made with old statistics can take hours instead of seconds.
-- Runs as the owner of the tables, which neither the loader nor dbt is.
create or replace function media_ops.refresh_statistics() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    stale regclass;
begin
    for stale in
        select pg_class.oid::regclass
        from pg_class
        join pg_stat_all_tables on pg_stat_all_tables.relid = pg_class.oid
        where
            pg_class.oid in (
                'media.staging_media_raw'::regclass, 'media.ingestion_logs'::regclass, 'media_ops.run_days'::regclass,
                'media_ops.days_built'::regclass
            )
            and pg_stat_all_tables.n_mod_since_analyze > 50 + 0.1 * greatest(pg_class.reltuples, 0)
    loop
        execute format('analyze %s', stale);
    end loop;
end
$$;
revoke all on function media_ops.refresh_statistics() from public;
grant execute on function media_ops.refresh_statistics() to media_transformer;
