-- The group roles. Logins are members of one of them; no role here has a password or can log in.
--   media_loader       writes staging_media_raw, ingestion_logs and the loader's bookkeeping
--   media_transformer  owns the seven marts and the relations of dbt
--   media_reader       the agency's BI: reads all clients, of users no hash
--   media_client       one client's people: reads their own rows, through row-level security
--   media_portal       the admin portal's server: acts for the user named by app.current_user_id
do $$
declare
    group_role text;
begin
    foreach group_role in array array[
        'media_loader', 'media_transformer', 'media_reader', 'media_client', 'media_portal'
    ] loop
        if not exists (select from pg_roles where rolname = group_role) then
            execute format('create role %I nologin noinherit', group_role);
        end if;
    end loop;
    -- Whoever migrates hands ownership over and runs the night, so an ordinary owner of the database
    -- (managed PostgreSQL gives no superuser) joins the two working roles; a superuser needs no membership.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        foreach group_role in array array['media_loader', 'media_transformer'] loop
            if not pg_has_role(current_user, group_role, 'usage') then
                execute format('grant %I to current_user', group_role);
            end if;
        end loop;
    end if;
end
$$;
