-- Makes the policies of a table those given, {"role, role": "condition"}, and no others, and turns row-level security
-- on. What stands already is left alone, because making a policy waits for every open reader: what was wanted, and
-- what PostgreSQL made of it, is kept as the policy's comment and compared.
--
-- The planner's statistics of texts go: EXPLAIN lets anyone who may read a table ask how many of its rows, hidden ones
-- included, it expects to be called so, and with that whether another client has a campaign of this name.
create or replace function media_ops.protect(relation regclass, conditions jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wanted record;
    stands text;
    state constant text := $state$
        select concat_ws(' ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid))
        from pg_policy where polrelid = $1 and polname = $2
    $state$;
    other name;
begin
    for other in
        select polname from pg_policy
        where
            polrelid = relation
            and polname not in (select 'rows_of_' || split_part(roles, ',', 1) from jsonb_object_keys(conditions) as roles)
    loop
        execute format('drop policy %I on %s', other, relation);
    end loop;
    for wanted in
        select roles, condition, 'rows_of_' || split_part(roles, ',', 1) as name
        from jsonb_each_text(conditions) as given (roles, condition)
    loop
        execute state into stands using relation, wanted.name;
        if format('to %s using (%s): %s', wanted.roles, wanted.condition, stands) is distinct from (
            select obj_description(pg_policy.oid, 'pg_policy')
            from pg_policy where polrelid = relation and polname = wanted.name
        ) then
            if stands <> '' then
                execute format('drop policy %I on %s', wanted.name, relation);
            end if;
            execute format(
                'create policy %I on %s for select to %s using (%s)',
                wanted.name, relation, wanted.roles, wanted.condition
            );
            execute state into stands using relation, wanted.name;
            execute format(
                'comment on policy %I on %s is %L',
                wanted.name, relation, format('to %s using (%s): %s', wanted.roles, wanted.condition, stands)
            );
        end if;
    end loop;
    if not (select relrowsecurity from pg_class where oid = relation) then
        execute format('alter table %s enable row level security', relation);
    end if;
    for other in
        select attname from pg_attribute
        where
            attrelid = relation and atttypid in ('text'::regtype, 'varchar'::regtype) and not attisdropped
            and attstattarget is distinct from 0
    loop
        execute format('alter table %s alter column %I set statistics 0', relation, other);
    end loop;
end
$$;

-- A table of which a client's people, and the portal for them, see what belongs to their client. They are granted a
-- table here and nowhere else, so never without its policies.
create or replace function media_ops.protect_by_client(relation regclass, client_column name) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    reader name;
begin
    perform media_ops.protect(relation, jsonb_build_object(
        -- `= any (array[…])` and not `=`: the planner checks a plain equality last, and `explain analyze` then shows
        -- whether another client's row passed the conditions before it. Nothing that compares is cheaper than this.
        'media_client', format('%I = any (array[(select media_ops.first_visible_client())])', client_column),
        'media_portal', format(
            '%1$I >= any (array[(select media_ops.first_visible_client())]) '
            'and %1$I <= any (array[(select media_ops.last_visible_client())])',
            client_column
        ),
        'media_reader, media_transformer, media_loader', 'true'
    ));
    foreach reader in array array['media_client', 'media_portal', 'media_reader'] loop
        if not has_table_privilege(reader, relation, 'select') then
            execute format('grant select on %s to %I', relation, reader);
        end if;
    end loop;
end
$$;

-- A table of dbt's, by its columns: one with client_id gets the policies, one with updated_at gets the trigger.
create or replace function media_ops.protect_mart(relation regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    column_names constant name[] := array(
        select attname from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped
    );
begin
    if 'client_id' = any (column_names) then
        perform media_ops.protect_by_client(relation, 'client_id');
    end if;
    if 'updated_at' = any (column_names) then
        perform media_ops.auto_update(relation);
    end if;
end
$$;

revoke all on function
media_ops.protect(regclass, jsonb), media_ops.protect_by_client(regclass, name), media_ops.protect_mart(regclass)
from public;
grant execute on function
media_ops.protect(regclass, jsonb), media_ops.protect_by_client(regclass, name), media_ops.protect_mart(regclass)
to media_transformer;
