-- Authenticated users: the agency's admins and the clients' people.
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
select
    media_ops.set_id_default('media.users'),
    media_ops.auto_update('media.users');

create unique index if not exists idx_users_email_unique on media.users (email);
create index if not exists idx_users_client_id on media.users (client_id);

-- The portal checks passwords; no BI role reads a hash. media_client and media_loader get nothing.
grant select on media.users to media_portal;
grant select (id, email, role, client_id, disabled_at, database_login, created_at, updated_at)
on media.users to media_reader;
