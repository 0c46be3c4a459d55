-- Gives dbt's relations back to media_transformer after a restore. Without a superuser, or with --no-owner, pg_restore
-- leaves them to the login that restored, and dbt can replace only what it owns. With --no-privileges, their grants are
-- missing. dbt's are all relations and functions in media and media_models that no file here declares (migrate.py sets
-- media.declared). Functions, because one with `security definer` would otherwise run as the owner from now on. What
-- belongs to anyone but the owner and the login that migrates is left alone.
do $$
declare
    owner constant name := current_user;
    restored record;
begin
    for restored in
        select
            format('alter table %s owner to media_transformer', pg_class.oid::regclass) as statement,
            pg_get_userbyid(pg_class.relowner) as role
        from pg_class
        where
            pg_class.relnamespace in ('media'::regnamespace, 'media_models'::regnamespace)
            and pg_class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and not (
                pg_class.relnamespace = 'media'::regnamespace
                and pg_class.relname = any (current_setting('media.declared')::name[])
            )
            -- a column's sequence follows its table
            and not exists (
                select from pg_depend
                where
                    pg_class.relkind = 'S'
                    and pg_depend.classid = 'pg_class'::regclass and pg_depend.objid = pg_class.oid
                    and pg_depend.deptype in ('a', 'i')
            )
        union all
        select
            format('alter routine %s owner to media_transformer', pg_proc.oid::regprocedure),
            pg_get_userbyid(pg_proc.proowner)
        from pg_proc
        where pg_proc.pronamespace in ('media'::regnamespace, 'media_models'::regnamespace)
    loop
        if restored.role in (owner, session_user) then
            -- the login that migrates may have restored under its own name
            perform set_config('role', restored.role, true);
            execute restored.statement;
            perform set_config('role', owner, true);
        end if;
    end loop;
    -- dbt's relations in media always have grants, because of the default privileges (01_schemas.sql)
    for restored in
        select pg_class.oid::regclass as relation
        from pg_class
        where
            pg_class.relnamespace = 'media'::regnamespace and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
            and pg_class.relowner = 'media_transformer'::regrole and pg_class.relacl is null
    loop
        execute format('grant select on %s to media_reader', restored.relation);
    end loop;
end
$$;
