-- updated_at moves only when something in the row changed: the triggers that call this carry
-- `when (old.* is distinct from new.*)`.
create or replace function media_ops.touch_updated_at() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    new.updated_at := now() at time zone 'utc';
    return new;
end
$$;

-- Gives a table its updated_at trigger; does nothing where it stands already, so that no lock is taken.
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

-- Random ids for rows that have no natural key; time-ordered ones (PostgreSQL 18) keep the key's index in the cache.
-- The loader's COPY brings its own (loader/staging.py).
create or replace function media_ops.set_id_default(relation regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wanted text := case
        when current_setting('server_version_num')::int >= 180000 then 'uuidv7()' else 'gen_random_uuid()'
    end;
begin
    if wanted is distinct from (
        select pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid)
        from pg_attrdef
        join pg_attribute
            on pg_attribute.attrelid = pg_attrdef.adrelid and pg_attribute.attnum = pg_attrdef.adnum
        where pg_attrdef.adrelid = relation and pg_attribute.attname = 'id'
    ) then
        execute format('alter table %s alter column id set default %s', relation, wanted);
    end if;
end
$$;

revoke all on function
media_ops.touch_updated_at(), media_ops.auto_update(regclass), media_ops.set_id_default(regclass)
from public;
grant execute on function media_ops.touch_updated_at(), media_ops.auto_update(regclass) to media_transformer;
