-- media: the twelve tables that people read, and nothing else, because BI users see everything in it.
-- media_ops: the loader's bookkeeping. media_models: dbt's views, seeds and work lists.
create schema if not exists media;
create schema if not exists media_ops;
create schema if not exists media_models;

revoke all on schema media, media_ops, media_models from public;
grant usage on schema media to media_loader, media_transformer, media_reader, media_client, media_portal;
-- media_portal needs media_ops for media_ops.sign_in only.
grant usage on schema media_ops to media_loader, media_transformer, media_portal;
grant create on schema media to media_transformer;
grant usage, create on schema media_models to media_transformer;

-- In a database created before PostgreSQL 15, everyone may create objects in schema public. A function lower(varchar)
-- that someone creates there would run with the rights of whoever calls lower() next.
do $$
begin
    if exists (
        select from pg_namespace, aclexplode(nspacl) as granted
        where nspname = 'public' and granted.grantee = 0 and granted.privilege_type = 'CREATE'
    ) then
        revoke create on schema public from public;
        if has_schema_privilege('media_client', 'public', 'create') then
            raise insufficient_privilege using
                message = 'everyone may create in schema public: run `revoke create on schema public from public` as its owner';
        end if;
    end if;
    -- dbt needs temporary tables, and some administrators revoke them from everyone.
    if not has_database_privilege('media_transformer', current_database(), 'temporary') then
        execute format('grant temporary on database %I to media_transformer', current_database());
    end if;
end
$$;

-- The agency can read a new table of dbt at once. media_client and media_portal are granted a table only together with
-- its policies (media_ops.protect_by_client).
alter default privileges for role media_transformer in schema media grant select on tables to media_reader;

-- The versions that were applied, so that the loader can say "run media migrate" instead of failing halfway.
create table if not exists media_ops.applied_schema (
    digest text primary key,
    applied_at timestamp not null default (now() at time zone 'utc')
);
comment on table media_ops.applied_schema is
'The versions of loader/database/schema that were applied to this database.';
comment on column media_ops.applied_schema.digest is 'The digest of the files.';
comment on column media_ops.applied_schema.applied_at is 'When this version was first applied, UTC.';
grant select on media_ops.applied_schema to media_loader, media_transformer;
