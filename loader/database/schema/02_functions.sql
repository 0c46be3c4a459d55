-- Sets updated_at. The triggers that call this have the condition `when (old.* is distinct from new.*)`, so that
-- updated_at changes only when something in the row changes.
create or replace function media_ops.touch_updated_at() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.updated_at := now() at time zone 'utc';
    return new;
end
$$;

-- Gives a table its updated_at trigger. If the trigger exists, does nothing, and so takes no lock.
create or replace function media_ops.auto_update(relation regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (
        select from pg_trigger where tgrelid = relation and tgname = 'touch_updated_at'
    ) then
        execute format(
            'create trigger touch_updated_at before update on %s for each row '
            'when (old.* is distinct from new.*) execute function media_ops.touch_updated_at()',
            relation
        );
    end if;
end
$$;

-- Gives rows that have no natural key a random id. From PostgreSQL 18 on these ids are ordered by time, so that inserts
-- use the same few pages of the index. The loader's COPY supplies its own ids (loader/ingestion/staging.py).
create or replace function media_ops.set_id_default(relation regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    perform media_ops.set_default(relation, 'id', case
        when current_setting('server_version_num')::int >= 180000 then 'uuidv7()' else 'gen_random_uuid()'
    end);
end
$$;

-- The next functions bring a table of an earlier release to the form that its file declares. A file calls them after
-- its `create table`. If the table already has that form, they change nothing and wait for no reader or writer.
create or replace function media_ops.add_column(relation regclass, column_name name, definition text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (
        select from pg_attribute where attrelid = relation and attname = column_name and not attisdropped
    ) then
        execute format('alter table %s add column %I %s', relation, column_name, definition);
    end if;
end
$$;

create or replace function media_ops.set_default(relation regclass, column_name name, expression text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    current_default constant text := '
        select pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid)
        from pg_attrdef
        join pg_attribute on pg_attribute.attrelid = pg_attrdef.adrelid and pg_attribute.attnum = pg_attrdef.adnum
        where pg_attrdef.adrelid = $1 and pg_attribute.attname = $2';
    wanted text;
    found text;
begin
    -- set the default on an empty table with the same columns, to see how PostgreSQL writes the expression
    execute format('create table media_ops.wanted (like %s)', relation);
    execute format('alter table media_ops.wanted alter column %I set default %s', column_name, expression);
    execute current_default into wanted using 'media_ops.wanted'::regclass, column_name;
    drop table media_ops.wanted;
    execute current_default into found using relation, column_name;
    if found is distinct from wanted then
        execute format('alter table %s alter column %I set default %s', relation, column_name, expression);
    end if;
end
$$;

-- Used instead of `create index if not exists`, which waits for every open writer even if the index exists.
create or replace function media_ops.add_index(
    relation regclass, index_name name, columns text, is_unique boolean default false
) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not exists (
        select from pg_index
        join pg_class on pg_class.oid = pg_index.indexrelid
        where pg_index.indrelid = relation and pg_class.relname = index_name
    ) then
        execute format(
            'create %s index %I on %s %s', case when is_unique then 'unique' else '' end, index_name, relation, columns
        );
    end if;
end
$$;

-- PostgreSQL names a check that `create table` gives a column without a name <table>_<column>_check.
create or replace function media_ops.set_check(relation regclass, constraint_name name, expression text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wanted text;
    found text;
begin
    execute format('create table media_ops.wanted (like %s)', relation);
    execute format('alter table media_ops.wanted add constraint wanted check (%s)', expression);
    select pg_get_constraintdef(oid) into wanted
    from pg_constraint
    where conrelid = 'media_ops.wanted'::regclass and conname = 'wanted';
    drop table media_ops.wanted;
    select pg_get_constraintdef(oid) into found
    from pg_constraint
    where conrelid = relation and conname = constraint_name;
    if found is distinct from wanted then
        perform media_ops.drop_constraint(relation, constraint_name);
        execute format('alter table %s add constraint %I check (%s)', relation, constraint_name, expression);
    end if;
end
$$;

create or replace function media_ops.drop_constraint(relation regclass, constraint_name name) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from pg_constraint where conrelid = relation and conname = constraint_name) then
        execute format('alter table %s drop constraint %I', relation, constraint_name);
    end if;
end
$$;

-- Gives a view the query of the view media_ops.wanted, then drops media_ops.wanted. Files declare views in this way
-- because `create or replace view` waits for every reader even if it changes nothing. New columns go at the end.
create or replace function media_ops.set_view(view_name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    query constant text := pg_get_viewdef('media_ops.wanted'::regclass);
begin
    drop view media_ops.wanted;
    if query is distinct from pg_get_viewdef(to_regclass(view_name)) then
        execute format('create or replace view %s as %s', view_name, query);
    end if;
end
$$;

revoke all on function
media_ops.touch_updated_at(), media_ops.auto_update(regclass), media_ops.set_id_default(regclass),
media_ops.add_column(regclass, name, text), media_ops.set_default(regclass, name, text),
media_ops.add_index(regclass, name, text, boolean), media_ops.set_check(regclass, name, text),
media_ops.drop_constraint(regclass, name), media_ops.set_view(text)
from public;
grant execute on function media_ops.touch_updated_at(), media_ops.auto_update(regclass) to media_transformer;
