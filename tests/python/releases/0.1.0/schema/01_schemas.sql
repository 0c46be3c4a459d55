-- media: the twelve tables of the specification and nothing else, because BI users see all of it.
-- media_ops: the loader's bookkeeping. media_models: dbt's views, seeds and work lists.
create schema if not exists media;
create schema if not exists media_ops;
create schema if not exists media_models;

revoke all on schema media, media_ops, media_models from public;
grant usage on schema media to media_loader, media_transformer, media_reader, media_client, media_portal;
-- The portal for media_ops.sign_in alone.
grant usage on schema media_ops to media_loader, media_transformer, media_portal;
grant create on schema media to media_transformer;
grant usage on schema media_models to media_loader; -- media status counts the days that wait
grant usage, create on schema media_models to media_transformer;

-- Databases that began before PostgreSQL 15 let everyone create in public: a function planted there, lower(varchar)
-- say, would run as whoever calls lower() next.
do $$
begin
    if exists (
        select from pg_namespace, aclexplode(nspacl) as granted
        where nspname = 'public' and granted.grantee = 0 and granted.privilege_type = 'CREATE'
    ) then
        revoke create on schema public from public;
        if has_schema_privilege('media_client', 'public', 'create') then
            raise insufficient_privilege using
                message = 'everyone may create in schema public: `revoke create on schema public from public`';
        end if;
    end if;
    -- dbt works with temporary tables, even where a careful administrator took them from everyone.
    if not has_database_privilege('media_transformer', current_database(), 'temporary') then
        execute format('grant temporary on database %I to media_transformer', current_database());
    end if;
end
$$;

-- A table that dbt adds to media later is the agency's to read at once. media_client and media_portal
-- get a table only together with its policies (media_ops.protect_by_client).
alter default privileges for role media_transformer in schema media grant select on tables to media_reader;

-- What was applied, so that the loader can say "run media migrate" before anything fails half way.
create table if not exists media_ops.applied_schema (
    digest text primary key,
    applied_at timestamp not null default (now() at time zone 'utc')
);
comment on table media_ops.applied_schema is 'Which forms of loader/schema were applied to this database.';
comment on column media_ops.applied_schema.digest is 'The digest of the files.';
comment on column media_ops.applied_schema.applied_at is 'When first, UTC.';
grant select on media_ops.applied_schema to media_loader, media_transformer;
