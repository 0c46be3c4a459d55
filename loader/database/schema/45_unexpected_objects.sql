-- Whoever may build can put a function behind a view, a trigger or a default of dbt's tables, and it runs with the
-- rights of whoever builds next. So a build by a login that can do more than media_transformer first looks for objects
-- that the project did not create (macros/refusals/refuse_unexpected_objects.sql).

-- Whether this login can do more than media_transformer, while another login, which cannot do as much, may build.
create or replace function media_ops.could_run_anothers_code() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select
        exists (
            select 1
            from pg_roles
            where
                (
                    pg_roles.rolname = session_user
                    and (rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication)
                )
                or (
                    pg_roles.rolname not in (session_user, 'media_transformer')
                    and pg_has_role(session_user, pg_roles.oid, 'member')
                    and not pg_has_role('media_transformer', pg_roles.oid, 'member')
                )
        )
        and exists (
            select 1
            from pg_roles
            where
                rolcanlogin and not rolsuper and rolname <> session_user
                and pg_has_role(pg_roles.oid, 'media_transformer', 'member')
                and not pg_has_role(pg_roles.oid, session_user, 'member')
        )
$$;

-- The objects in dbt's schemas that neither the project nor a model created, each described in a few words. `relations`
-- are those that the models create: {"schema.name": "view" or "table"}. Objects of the owner of schema media_ops and of
-- superusers are not reported. Nothing here runs what it finds.
create or replace function media_ops.unexpected_objects(relations jsonb) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
    with trusted as materialized (
        select nspowner as role_id from pg_namespace where nspname = 'media_ops'
        union
        select oid from pg_roles where rolsuper
    ),

    schemas as materialized (
        select oid, nspname
        from pg_namespace
        where
            nspname in ('media', 'media_models')
            or nspname in (select split_part(given.name, '.', 1) from jsonb_object_keys(relations) as given (name))
    ),

    found as materialized (
        select pg_class.oid, pg_class.relkind, format('%I.%I', schemas.nspname, pg_class.relname) as name
        from pg_class
        join schemas on schemas.oid = pg_class.relnamespace
        where pg_class.relowner not in (select role_id from trusted)
    ),

    -- Everything that PostgreSQL evaluates when someone writes to a table, reads it, or plans a query on it.
    expressions as materialized (
        select found.name, format('a default of %s', found.name) as description, pg_attrdef.adbin::text as expression
        from pg_attrdef join found on found.oid = pg_attrdef.adrelid
        union all
        select found.name, format('the check %I of %s', pg_constraint.conname, found.name), pg_constraint.conbin::text
        from pg_constraint join found on found.oid = pg_constraint.conrelid
        where pg_constraint.conbin is not null
        union all
        select
            found.name, format('the index %s of %s', pg_index.indexrelid::regclass, found.name),
            concat(pg_index.indexprs::text, pg_index.indpred::text)
        from pg_index join found on found.oid = pg_index.indrelid
        union all
        select
            found.name, format('the statistics %I of %s', pg_statistic_ext.stxname, found.name),
            pg_statistic_ext.stxexprs::text
        from pg_statistic_ext join found on found.oid = pg_statistic_ext.stxrelid
        union all
        select found.name, format('the trigger %I on %s', pg_trigger.tgname, found.name), pg_trigger.tgqual::text
        from pg_trigger join found on found.oid = pg_trigger.tgrelid
        union all
        select
            found.name, format('the policy %I on %s', pg_policy.polname, found.name),
            concat(pg_policy.polqual::text, pg_policy.polwithcheck::text)
        from pg_policy join found on found.oid = pg_policy.polrelid
        union all
        select found.name, format('the partitions of %s', found.name), pg_partitioned_table.partexprs::text
        from pg_partitioned_table join found on found.oid = pg_partitioned_table.partrelid
    ),

    -- A call in a stored expression looks like {FUNCEXPR :funcid 1299 …}. PostgreSQL's own immutable functions only
    -- compute; of its others, a few that tables have as defaults.
    calls as (
        select expressions.description, call.match[1]::oid as function_id
        from expressions
        cross join regexp_matches(expressions.expression, ':(?:funcid|aggfnoid|winfnoid) (\d+)', 'g') as call (match)
    ),

    unexpected (description) as (
        select format('the view %s', name) from found where relkind in ('v', 'm') and not relations ? name
        union all
        select format('the view %s in place of a table', name)
        from found
        where relkind in ('v', 'm') and relations ->> name = 'table'
        union all
        select format('the foreign table %s', name) from found where relkind = 'f'
        union all
        select format('the rule %I on %s', pg_rewrite.rulename, found.name)
        from pg_rewrite join found on found.oid = pg_rewrite.ev_class
        where pg_rewrite.rulename <> '_RETURN'
        union all
        select format('the trigger %I on %s', pg_trigger.tgname, found.name)
        from pg_trigger join found on found.oid = pg_trigger.tgrelid
        where not pg_trigger.tgisinternal and pg_trigger.tgfoid <> 'media_ops.touch_updated_at()'::regprocedure
        union all
        select format('the policy %I on %s', pg_policy.polname, found.name)
        from pg_policy join found on found.oid = pg_policy.polrelid
        where pg_policy.polname not in ('rows_of_media_client', 'rows_of_media_portal', 'rows_of_media_reader')
        union all
        select format('row security that binds the owner of %s', found.name)
        from found join pg_class on pg_class.oid = found.oid
        where pg_class.relforcerowsecurity
        union all
        select format('the function %s', pg_proc.oid::regprocedure)
        from pg_proc join schemas on schemas.oid = pg_proc.pronamespace
        where pg_proc.proowner not in (select role_id from trusted)
        union all
        select format('the operator %s', pg_operator.oid::regoperator)
        from pg_operator join schemas on schemas.oid = pg_operator.oprnamespace
        where pg_operator.oprowner not in (select role_id from trusted)
        union all
        select format('the type %s', pg_type.oid::regtype)
        from pg_type join schemas on schemas.oid = pg_type.typnamespace
        where
            pg_type.typowner not in (select role_id from trusted)
            and pg_type.typtype in ('b', 'd', 'r') and pg_type.typcategory <> 'A'
        union all
        select distinct format('%s, which calls %s', calls.description, calls.function_id::regprocedure)
        from calls
        join pg_proc on pg_proc.oid = calls.function_id
        where
            not (
                pg_proc.pronamespace = 'pg_catalog'::regnamespace
                and (pg_proc.provolatile = 'i' or pg_proc.proname in ('now', 'timezone', 'gen_random_uuid', 'uuidv7'))
            )
            and not (
                pg_proc.pronamespace = 'media_ops'::regnamespace
                and pg_proc.proowner in (select role_id from trusted)
            )
    )

    select description from unexpected order by description
$$;

revoke all on function media_ops.could_run_anothers_code(), media_ops.unexpected_objects(jsonb) from public;
grant execute on function media_ops.could_run_anothers_code(), media_ops.unexpected_objects(jsonb) to media_transformer;
