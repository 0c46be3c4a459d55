-- One record per client company.
create table if not exists media.clients (
    id uuid primary key,
    name varchar(255) not null check (btrim(name) <> ''),
    status varchar(20) not null default 'active' check (status in ('active', 'disabled')),
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc')
);
comment on table media.clients is
'One record per client company. Whoever is disabled has people who see nothing; its files are still loaded.';
comment on column media.clients.id is 'The client.';
comment on column media.clients.name is 'Display name; files name clients by it, in any case.';
comment on column media.clients.status is 'active or disabled.';
comment on column media.clients.created_at is 'When the row was made, UTC.';
comment on column media.clients.updated_at is 'When something in the row last changed, UTC.';
select
    media_ops.set_id_default('media.clients'),
    media_ops.auto_update('media.clients');

create index if not exists idx_clients_name on media.clients (name);
-- Files name clients in any case, so two clients may not differ by case alone.
create unique index if not exists clients_name_any_case on media.clients (lower(name));
-- No statistics of names (media_ops.protect says why), nor of what an index makes of them.
do $$
begin
    if exists (
        select from pg_attribute
        where attrelid = 'media.clients_name_any_case'::regclass and attstattarget is distinct from 0
    ) then
        alter index media.clients_name_any_case alter column 1 set statistics 0;
    end if;
end
$$;

grant select on media.clients to media_loader, media_transformer, media_reader;
grant references on media.clients to media_transformer;
