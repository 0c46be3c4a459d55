-- One row per client company.
create table if not exists media.clients (
    id uuid primary key,
    name varchar(255) not null check (btrim(name) <> ''),
    status varchar(20) not null default 'active' check (status in ('active', 'disabled')),
    created_at timestamp not null default (now() at time zone 'utc'),
    updated_at timestamp not null default (now() at time zone 'utc')
);
comment on table media.clients is
'One row per client company. Users of a disabled client see no rows; its files are still loaded.';
comment on column media.clients.id is 'The client.';
comment on column media.clients.name is 'Display name. Files name the client by it, in upper or lower case.';
comment on column media.clients.status is 'active or disabled.';
comment on column media.clients.created_at is 'When the row was inserted, UTC.';
comment on column media.clients.updated_at is 'When something in the row last changed, UTC.';
select
    media_ops.set_id_default('media.clients'),
    media_ops.auto_update('media.clients');

-- Files may write a client's name in any case, so the names of two clients must differ in more than case. lower() is
-- not leakproof, so a client's login cannot search this index for other clients' names.
do $$
begin
    if exists (select from pg_index where indexrelid = to_regclass('media.idx_clients_name') and indexprs is null) then
        drop index media.idx_clients_name; -- that of 0.1.0, on name
    end if;
end
$$;
select media_ops.add_index('media.clients', 'idx_clients_name', '(lower(name))', is_unique => true);
-- No planner statistics on names (see media_ops.protect), and so none on this index of lower(name).
do $$
begin
    if exists (
        select from pg_attribute
        where attrelid = 'media.idx_clients_name'::regclass and attstattarget is distinct from 0
    ) then
        alter index media.idx_clients_name alter column 1 set statistics 0;
    end if;
end
$$;

grant select on media.clients to media_loader, media_transformer, media_reader;
grant references on media.clients to media_transformer;

-- Checks a new mart's foreign key to clients in one pass, as the owner of clients. For a login of media_transformer,
-- PostgreSQL checks row by row, because clients has row-level security: about 2 seconds per million rows.
-- The owner must not run code that someone with fewer rights wrote, and planning a query evaluates the expressions of
-- a table's indexes, checks and statistics. A table with any of these, or with a key of another type, is not checked.
create or replace function media_ops.validate_client_key(mart regclass) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    client_key name;
begin
    if (select relowner from pg_class where oid = mart) is distinct from 'media_transformer'::regrole then
        return;
    end if;
    execute format('lock table %s in access exclusive mode', mart);
    select pg_constraint.conname into client_key
    from pg_constraint
    join pg_class on pg_class.oid = pg_constraint.conrelid
    join pg_attribute on pg_attribute.attrelid = pg_class.oid and pg_attribute.attnum = pg_constraint.conkey[1]
    where
        pg_constraint.conrelid = mart
        and pg_constraint.contype = 'f'
        and pg_constraint.confrelid = 'media.clients'::regclass
        and pg_constraint.conpfeqop = array['pg_catalog.=(uuid, uuid)'::regoperator::oid]
        and pg_attribute.atttypid = 'uuid'::regtype
        and pg_class.relowner = 'media_transformer'::regrole
        and pg_class.relkind = 'r'
        and pg_class.relchecks = 0
        and not pg_class.relhasindex
        and not pg_class.relhasrules
        and not pg_class.relrowsecurity
        and not exists (select from pg_statistic_ext where pg_statistic_ext.stxrelid = mart)
    limit 1;
    if client_key is not null then
        execute format('alter table %s validate constraint %I', mart, client_key);
    end if;
end
$$;
revoke all on function media_ops.validate_client_key(regclass) from public;
grant execute on function media_ops.validate_client_key(regclass) to media_transformer;
