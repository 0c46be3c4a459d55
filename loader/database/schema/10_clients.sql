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

-- No role may create a foreign key to clients by itself. PostgreSQL checks a key with the cast of the referencing
-- column's type, as the owner of the referenced table: whoever may create a type and such a key can run code as the
-- owner.
revoke references on media.clients from media_transformer;
do $$
declare
    key record;
begin
    for key in
        select conrelid::regclass as relation, conname
        from pg_constraint
        where
            contype = 'f' and confrelid = 'media.clients'::regclass
            and conpfeqop <> array['pg_catalog.=(uuid, uuid)'::regoperator::oid]
    loop
        execute format('alter table %s drop constraint %I', key.relation, key.conname);
    end loop;
end
$$;

-- Gives a table of dbt a foreign key to clients, if the column is a plain uuid, and checks the rows that are there. For
-- a login of media_transformer, PostgreSQL would check them row by row, because clients has row-level security: about 2
-- seconds per million rows. Planning the check evaluates the expressions of the table's indexes, checks and statistics,
-- so a table that has any is not checked here, but by `validate constraint` as its own role.
create or replace function media_ops.add_client_key(mart regclass, column_name name, constraint_name name) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    execute format('lock table %s in access exclusive mode', mart);
    if not exists (
        select 1
        from pg_class
        join pg_attribute on pg_attribute.attrelid = pg_class.oid
        where
            pg_class.oid = mart and pg_class.relkind = 'r' and pg_class.relowner = 'media_transformer'::regrole
            and pg_attribute.attname = column_name and pg_attribute.atttypid = 'uuid'::regtype
    ) then
        raise insufficient_privilege using
            message = format('%s.%s cannot refer to clients: only a uuid of a table of media_transformer can', mart, column_name);
    end if;
    execute format(
        'alter table %s add constraint %I foreign key (%I) references media.clients (id) '
        'on update cascade on delete restrict not valid', mart, constraint_name, column_name
    );
    if exists (
        select 1
        from pg_class
        where
            pg_class.oid = mart and pg_class.relchecks = 0 and not pg_class.relhasindex and not pg_class.relhasrules
            and not pg_class.relhassubclass and not pg_class.relrowsecurity
            and not exists (select 1 from pg_statistic_ext where pg_statistic_ext.stxrelid = mart)
    ) then
        execute format('alter table %s validate constraint %I', mart, constraint_name);
    end if;
end
$$;
revoke all on function media_ops.add_client_key(regclass, name, name) from public;
grant execute on function media_ops.add_client_key(regclass, name, name) to media_transformer;
