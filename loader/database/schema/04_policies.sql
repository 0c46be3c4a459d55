-- Gives a table exactly these policies, {"role, role": "condition"}, and turns row-level security on. A policy that is
-- already as given is left alone, because creating one waits for every open reader. To compare, the policy's comment
-- holds the condition as given and the policy as PostgreSQL stored it.
--
-- Also turns off the planner's statistics on text columns. With them, EXPLAIN would tell anyone who may read the table
-- how many rows, hidden ones included, are expected to have a name, and so whether another client has a campaign of
-- that name.
create or replace function media_ops.protect(relation regclass, conditions jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    wanted record;
    current_state text;
    state_query constant text := $state$
        select concat_ws(' ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid))
        from pg_policy where polrelid = $1 and polname = $2
    $state$;
    policy_name name;
    text_column name;
    -- for at most 5 seconds, because readers queue behind it
    lock_statement constant text := format('lock table %s in access exclusive mode', relation);
begin
    for policy_name in
        select polname from pg_policy
        where
            polrelid = relation
            and polname not in (select 'rows_of_' || split_part(roles, ',', 1) from jsonb_object_keys(conditions) as roles)
    loop
        perform media_ops.run_when_free(relation, lock_statement, '5 seconds');
        execute format('drop policy %I on %s', policy_name, relation);
    end loop;
    for wanted in
        select roles, condition, 'rows_of_' || split_part(roles, ',', 1) as name
        from jsonb_each_text(conditions) as given (roles, condition)
    loop
        execute state_query into current_state using relation, wanted.name;
        if format('to %s using (%s): %s', wanted.roles, wanted.condition, current_state) is distinct from (
            select obj_description(pg_policy.oid, 'pg_policy')
            from pg_policy where polrelid = relation and polname = wanted.name
        ) then
            perform media_ops.run_when_free(relation, lock_statement, '5 seconds');
            if current_state <> '' then
                execute format('drop policy %I on %s', wanted.name, relation);
            end if;
            execute format(
                'create policy %I on %s for select to %s using (%s)',
                wanted.name, relation, wanted.roles, wanted.condition
            );
            execute state_query into current_state using relation, wanted.name;
            execute format(
                'comment on policy %I on %s is %L',
                wanted.name, relation, format('to %s using (%s): %s', wanted.roles, wanted.condition, current_state)
            );
        end if;
    end loop;
    if not (select relrowsecurity from pg_class where oid = relation) then
        perform media_ops.run_when_free(relation, lock_statement, '5 seconds');
        execute format('alter table %s enable row level security', relation);
    end if;
    for text_column in
        select attname from pg_attribute
        where
            attrelid = relation and atttypid in ('text'::regtype, 'varchar'::regtype) and not attisdropped
            and attstattarget is distinct from 0
    loop
        execute format('alter table %s alter column %I set statistics 0', relation, text_column);
    end loop;
end
$$;

-- Protects a table so that users of a client, directly or through the portal, see only their client's rows. Such a
-- table is granted to media_client and media_portal here and nowhere else, so never without its policies.
create or replace function media_ops.protect_by_client(relation regclass, client_column name) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    reader name;
begin
    perform media_ops.protect(relation, jsonb_build_object(
        -- `= any (array[…])` and not `=`: the planner checks a plain equality last, and `explain analyze` then shows
        -- whether another client's row passed the conditions before it. No comparison costs less than this one, so none
        -- comes before it; only `is null` does (docs/access.md).
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

-- Protects a table of dbt: if it has client_id, it gets the policies; if it has updated_at, it gets the trigger.
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
