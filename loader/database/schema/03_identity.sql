-- Who may see a row. No other code decides this.
--
-- A media_portal login acts for the user named by app.current_user_id (`set local`, in its transaction). Any other
-- login is the user whose users.database_login it is. The session's login decides, not the current role, so that
-- someone who types SQL cannot become another user by a setting or by `set role`. A login that also has media_client,
-- or that is bound to a user, belongs to a person: if it has media_portal too, that is a mistake and has no effect.
-- An unknown user, a disabled user, a user of a disabled client and a malformed id get no rows.
--
-- The result is a range of client ids and a range of user ids, both ends included, so that every policy is a
-- comparison that can use an index. For a user of a client, both ends are the same id. For an admin, who has access
-- through the portal only, the range is all ids.
--
-- pg_temp is last in every search_path here. If it is not named, PostgreSQL searches it first, and anyone may create
-- a temporary table or type that these functions would then find.
create or replace function media_ops.visible(
    out first_client uuid, out last_client uuid, out first_user uuid, out last_user uuid
)
language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
declare
    portal_user constant text := nullif(current_setting('app.current_user_id', true), '');
    through_portal boolean := pg_has_role(session_user, 'media_portal', 'member')
        and not pg_has_role(session_user, 'media_client', 'member');
    requester record;
begin
    if through_portal then
        through_portal := not exists (select from media.users where users.database_login = session_user);
    end if;
    if not through_portal then
        select users.id, users.role, clients.id as client_id into requester
        from media.users
        left join media.clients on clients.id = users.client_id and clients.status = 'active'
        where users.database_login = session_user and users.disabled_at is null;
    elsif portal_user ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select users.id, users.role, clients.id as client_id into requester
        from media.users
        left join media.clients on clients.id = users.client_id and clients.status = 'active'
        where users.id = portal_user::uuid and users.disabled_at is null;
    else
        return;
    end if;
    if requester.role = 'admin' and through_portal then
        first_client := '00000000-0000-0000-0000-000000000000';
        last_client := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
        first_user := first_client;
        last_user := last_client;
    elsif requester.client_id is not null then
        first_client := requester.client_id;
        last_client := requester.client_id;
        first_user := requester.id;
        last_user := requester.id;
    end if;
end
$$;

-- The policies call these functions in a subquery, which PostgreSQL evaluates once per query.
create or replace function media_ops.first_visible_client() returns uuid
language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (media_ops.visible()).first_client;
end
$$;

create or replace function media_ops.last_visible_client() returns uuid
language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (media_ops.visible()).last_client;
end
$$;

create or replace function media_ops.first_visible_user() returns uuid
language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (media_ops.visible()).first_user;
end
$$;

create or replace function media_ops.last_visible_user() returns uuid
language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
begin
    return (media_ops.visible()).last_user;
end
$$;

revoke all on function
media_ops.visible(),
media_ops.first_visible_client(), media_ops.last_visible_client(),
media_ops.first_visible_user(), media_ops.last_visible_user()
from public;
grant execute on function media_ops.first_visible_client() to media_client, media_portal;
grant execute on function
media_ops.last_visible_client(), media_ops.first_visible_user(), media_ops.last_visible_user()
to media_portal;
