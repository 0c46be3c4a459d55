-- The group roles. Logins are members of one of them; no role here has a password or can log in.
--   media_loader       writes staging_media_raw, ingestion_logs and the loader's bookkeeping
--   media_transformer  owns the marts and the other relations of dbt
--   media_reader       the agency's BI: reads all clients, and users without their password hashes
--   media_client       users of a client: read that client's rows, through row-level security
--   media_portal       the admin portal's server: acts for the user named by app.current_user_id
-- Everything else belongs to one owner, whoever migrates, because the functions behind the policies run as the owner of
-- the tables that they read: the owner of schema media, or on a new database the owner of the database. So a superuser
-- creates the roles and then switches to the owner. A member of the owner switches before creating them.
do $$
declare
    owner constant name := (
        select pg_get_userbyid(coalesce(
            (select nspowner from pg_namespace where nspname = 'media'),
            (select datdba from pg_database where datname = current_database())
        ))
    );
    is_superuser constant boolean := (select rolsuper from pg_roles where rolname = current_user);
    group_role text;
begin
    if not is_superuser and pg_has_role(owner, 'member') then
        perform set_config('role', owner, true);
    end if;
    foreach group_role in array array[
        'media_loader', 'media_transformer', 'media_reader', 'media_client', 'media_portal'
    ] loop
        if not exists (select from pg_roles where rolname = group_role) then
            execute format('create role %I nologin noinherit', group_role);
        end if;
    end loop;
    -- On managed PostgreSQL the owner is not a superuser: it joins these two roles to run the nightly flow and to
    -- protect the marts, which belong to media_transformer. A superuser needs no membership.
    foreach group_role in array array['media_loader', 'media_transformer'] loop
        if not pg_has_role(owner, group_role, 'usage') then
            execute format('grant %I to %I', group_role, owner);
        end if;
    end loop;
    if is_superuser then
        perform set_config('role', owner, true);
    end if;
end
$$;
