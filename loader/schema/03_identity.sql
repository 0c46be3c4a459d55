-- Who may see a row: decided here and nowhere else.
--
-- A media_portal login acts for the user named by app.current_user_id (set local, in its transaction). Any other
-- login is the user bound to it by users.database_login: the session's login, not the current role, so that
-- neither a setting nor `set role` makes someone else of a person who types SQL. Nobody known, a disabled user,
-- a disabled client, a malformed id: no rows.
--
-- The answer is a range of client ids, both ends included, so that every policy is one indexable comparison:
-- a client's own id twice; for an admin, who comes through the portal only, the whole range.

create or replace function media_ops.visible_clients(out lowest uuid, out highest uuid)
language plpgsql stable security definer set search_path = pg_catalog as $$
declare
    through_portal boolean := exists (
        select from pg_auth_members
        where roleid = 'media_portal'::regrole and member = (select oid from pg_roles where rolname = session_user)
    );
    named text := nullif(current_setting('app.current_user_id', true), '');
begin
    if through_portal and named !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        return;
    end if;
    select
        case users.role
            when 'admin' then case when through_portal then '00000000-0000-0000-0000-000000000000'::uuid end
            else clients.id
        end,
        case users.role
            when 'admin' then case when through_portal then 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid end
            else clients.id
        end
    into lowest, highest
    from media.users
    left join media.clients on clients.id = users.client_id and clients.status = 'active'
    where
        users.disabled_at is null
        and case when through_portal then users.id = named::uuid else users.database_login = session_user end;
end
$$;

-- Policies call these two: a scalar without arguments is evaluated once a query.
create or replace function media_ops.first_visible_client() returns uuid
language sql stable security definer set search_path = pg_catalog as $$
    select visible.lowest from media_ops.visible_clients() as visible
$$;

create or replace function media_ops.last_visible_client() returns uuid
language sql stable security definer set search_path = pg_catalog as $$
    select visible.highest from media_ops.visible_clients() as visible
$$;

revoke all on function media_ops.visible_clients() from public;
revoke all on function media_ops.first_visible_client(), media_ops.last_visible_client() from public;
grant execute on function media_ops.first_visible_client(), media_ops.last_visible_client()
to media_client, media_portal;

-- Puts a table under row-level security: its policies, and with them the grants to those whom they bind. A policy is
-- made anew only where its text differs from the one that stands (kept as its comment), because that waits for
-- every open reader.
create or replace function media_ops.protect_by_client(relation regclass, client_column name) returns void
language plpgsql set search_path = pg_catalog as $$
declare
    policy record;
    own_rows text := format(
        '%I between (select media_ops.first_visible_client()) and (select media_ops.last_visible_client())',
        client_column
    );
begin
    for policy in
        select *
        from (values
            ('own_rows', 'media_client, media_portal', own_rows),
            ('all_rows', 'media_loader, media_transformer, media_reader', 'true')
        ) as policies (name, roles, condition)
    loop
        if policy.roles || ': ' || policy.condition is distinct from (
            select obj_description(pg_policy.oid, 'pg_policy')
            from pg_policy where polrelid = relation and polname = policy.name
        ) then
            execute format('drop policy if exists %I on %s', policy.name, relation);
            execute format(
                'create policy %I on %s for select to %s using (%s)',
                policy.name, relation, policy.roles, policy.condition
            );
            execute format(
                'comment on policy %I on %s is %L',
                policy.name, relation, policy.roles || ': ' || policy.condition
            );
        end if;
    end loop;
    if not (select relrowsecurity from pg_class where oid = relation) then
        execute format('alter table %s enable row level security', relation);
    end if;
    if not has_table_privilege('media_client', relation, 'select')
        or not has_table_privilege('media_portal', relation, 'select')
    then
        execute format('grant select on %s to media_client, media_portal', relation);
    end if;
end
$$;
revoke all on function media_ops.protect_by_client(regclass, name) from public;
grant execute on function media_ops.protect_by_client(regclass, name) to media_transformer;
