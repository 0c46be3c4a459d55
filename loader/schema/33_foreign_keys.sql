-- Validates the foreign keys that dbt adds to a mart made anew. As the clients' owner: PostgreSQL checks a key by one
-- join only for whoever is above the row-level security of both tables; for everyone else it asks row by row.
create or replace function media_ops.validate_foreign_keys(mart regclass) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    foreign_key name;
begin
    for foreign_key in
        select conname from pg_constraint where conrelid = mart and contype = 'f' and not convalidated
    loop
        execute format('alter table %s validate constraint %I', mart, foreign_key);
    end loop;
end
$$;
revoke all on function media_ops.validate_foreign_keys(regclass) from public;
grant execute on function media_ops.validate_foreign_keys(regclass) to media_transformer;
