-- Gives dbt's relations back to media_transformer after a restore. Without a superuser, or with --no-owner, pg_restore
-- leaves them to the login that restored, and dbt can replace only what it owns. dbt's are all relations and functions
-- in media and media_models that no file here declares (migrate.py sets media.declared). Views and functions have to be
-- handed over in any case: otherwise they would read with the owner's rights from now on.
-- If dbt's seed and work list belong to media_transformer, the database was not restored in this way, and the owner's
-- own tables stay the owner's.
do $$
declare
    owner constant name := current_user;
    restored record;
begin
    if exists (
        select from pg_class
        where
            pg_class.oid in (to_regclass('media_models.name_aliases'), to_regclass('media_models.int_days_to_rebuild'))
            and pg_get_userbyid(pg_class.relowner) in (owner, session_user)
    ) then
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
    end if;
    -- With --no-privileges, the grants are missing, too. The other files make theirs; dbt's relations in media have theirs
    -- from the default privileges (01_schemas.sql).
    if exists (select 1 from pg_class where pg_class.oid = to_regclass('media.clients') and pg_class.relacl is null) then
        for restored in
            select pg_class.oid::regclass as relation
            from pg_class
            where
                pg_class.relnamespace = 'media'::regnamespace and pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
                and pg_class.relowner = 'media_transformer'::regrole and pg_class.relacl is null
        loop
            execute format('grant select on %s to media_reader', restored.relation);
        end loop;
    end if;
end
$$;
