-- Who may see a row: decided here and nowhere else.
--
-- A media_portal login acts for the user named by app.current_user_id (set local, in its transaction). Any other
-- login is the user bound to it by users.database_login: the session's login, not the current role, so that
-- neither a setting nor `set role` makes someone else of a person who types SQL. A login that has media_client too,
-- or is bound to a user, belongs to a person: that it has media_portal is a mistake and changes nothing. Nobody
-- known, a disabled user, a disabled client, a malformed id: no rows.
--
-- The answer is a range of client ids and one of user ids, both ends included, so that every policy is an indexable
-- comparison: a client's own id twice; for an admin, who comes through the portal only, all ids.
--
-- pg_temp stands last in every search_path here: where it is not named PostgreSQL looks there first, and anyone may
-- make a temporary table or type for these functions to find.
create or replace function media_ops.visible(
    out first_client uuid, out last_client uuid, out first_user uuid, out last_user uuid
)
language plpgsql stable parallel restricted security definer set search_path = pg_catalog, pg_temp as $$
declare
    named constant text := nullif(current_setting('app.current_user_id', true), '');
    through_portal boolean := pg_has_role(session_user, 'media_portal', 'member')
        and not pg_has_role(session_user, 'media_client', 'member');
    asking record;
begin
    if through_portal then
        through_portal := not exists (select from media.users where users.database_login = session_user);
    end if;
    if not through_portal then
        select users.id, users.role, clients.id as client_id into asking
        from media.users
        left join media.clients on clients.id = users.client_id and clients.status = 'active'
        where users.database_login = session_user and users.disabled_at is null;
    elsif named ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select users.id, users.role, clients.id as client_id into asking
        from media.users
        left join media.clients on clients.id = users.client_id and clients.status = 'active'
        where users.id = named::uuid and users.disabled_at is null;
    else
        return;
    end if;
    if asking.role = 'admin' and through_portal then
        first_client := '00000000-0000-0000-0000-000000000000';
        last_client := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
        first_user := first_client;
        last_user := last_client;
    elsif asking.client_id is not null then
        first_client := asking.client_id;
        last_client := asking.client_id;
        first_user := asking.id;
        last_user := asking.id;
    end if;
end
$$;

-- Policies call these: a scalar without arguments is evaluated once a query.
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
