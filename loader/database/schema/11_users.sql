-- Everyone who can sign in: admins of the agency and users of clients.
create table if not exists media.users (
    id uuid primary key,
    email varchar(255) not null check (email = lower(email)),
    password_hash text not null,
    role varchar(20) not null check (role in ('admin', 'client')),
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc'),
    client_id uuid references media.clients (id) on update cascade on delete restrict,
    disabled_at timestamp,
    database_login name unique,
    check ((role = 'admin') = (client_id is null))
);
comment on table media.users is
'Everyone who can sign in: admins of the agency and users of clients.';
comment on column media.users.id is 'The user; media_portal names it in app.current_user_id.';
comment on column media.users.email is 'The e-mail address, in lower case; unique.';
comment on column media.users.password_hash is 'The Argon2id hash of the password.';
comment on column media.users.role is
'admin: sees all rows, through the portal only; client: sees the rows of one client.';
comment on column media.users.created_at is 'When the row was inserted, UTC.';
comment on column media.users.updated_at is 'When something in the row last changed, UTC.';
comment on column media.users.client_id is 'The client whose rows the user sees; null for admins.';
comment on column media.users.disabled_at is 'When the user was disabled, UTC. A disabled user sees no rows.';
comment on column media.users.database_login is 'The database login of this user, if there is one.';
select
    media_ops.set_id_default('media.users'),
    media_ops.auto_update('media.users');

select media_ops.add_index('media.users', 'idx_users_email_unique', '(email)', is_unique => true);
select media_ops.add_index('media.users', 'idx_users_client_id', '(client_id)');

-- No role may read password hashes. A grant on the whole table would include them, so it is revoked, in case someone
-- granted it to make `select *` work. media_client, media_loader and media_transformer have no access.
revoke select on media.users from media_reader, media_portal;
grant select (id, email, role, client_id, disabled_at, database_login, created_at, updated_at)
on media.users to media_reader, media_portal;

-- For the portal's sign-in, when the user is not known yet. This is the only way to read a password hash, for one
-- e-mail address per call. Returns nothing for a user to whom the policies would show no rows.
create or replace function media_ops.sign_in(address text, out id uuid, out password_hash text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select users.id, users.password_hash
    from media.users
    left join media.clients on clients.id = users.client_id
    where users.email = address and users.disabled_at is null and coalesce(clients.status, 'active') = 'active'
$$;
revoke all on function media_ops.sign_in(text) from public;
grant execute on function media_ops.sign_in(text) to media_portal;
