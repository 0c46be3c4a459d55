-- Whoever may build can put a function behind a view, a trigger or a default of dbt's tables, and it runs with the
-- rights of whoever builds next. So a build by a login that can do more than media_transformer first looks for objects
-- that the project did not create (macros/refusals/refuse_unexpected_objects.sql).

-- Whether this login can do more than media_transformer.
create or replace function media_ops.can_do_more_than_build() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (
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
$$;

-- Whether a login that cannot do as much as this one may build.
create or replace function media_ops.others_can_build() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (
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
        where pg_class.relkind in ('r', 'p', 'v', 'm', 'f') and pg_class.relowner not in (select role_id from trusted)
    ),

    -- What belongs to a table, and the expression in it. PostgreSQL evaluates it when someone writes to the table, reads
    -- it, or plans a query on it.
    parts as materialized (
        select
            'pg_class'::regclass as class_id, found.oid as object_id, format('a column of %s', found.name) as description,
            null::text as expression
        from found
        where found.relkind <> 'v'
        union all
        select 'pg_attrdef'::regclass, pg_attrdef.oid, format('a default of %s', found.name), pg_attrdef.adbin::text
        from pg_attrdef join found on found.oid = pg_attrdef.adrelid
        union all
        select
            'pg_constraint'::regclass, pg_constraint.oid,
            format('the constraint %I of %s', pg_constraint.conname, found.name), pg_constraint.conbin::text
        from pg_constraint join found on found.oid = pg_constraint.conrelid
        union all
        select
            'pg_class'::regclass, pg_index.indexrelid,
            format('the index %s of %s', pg_index.indexrelid::regclass, found.name),
            concat(pg_index.indexprs::text, pg_index.indpred::text)
        from pg_index join found on found.oid = pg_index.indrelid
        union all
        select
            'pg_statistic_ext'::regclass, pg_statistic_ext.oid,
            format('the statistics %I of %s', pg_statistic_ext.stxname, found.name), pg_statistic_ext.stxexprs::text
        from pg_statistic_ext join found on found.oid = pg_statistic_ext.stxrelid
        union all
        select
            'pg_trigger'::regclass, pg_trigger.oid, format('the trigger %I on %s', pg_trigger.tgname, found.name),
            pg_trigger.tgqual::text
        from pg_trigger join found on found.oid = pg_trigger.tgrelid
        union all
        select
            'pg_policy'::regclass, pg_policy.oid, format('the policy %I on %s', pg_policy.polname, found.name),
            concat(pg_policy.polqual::text, pg_policy.polwithcheck::text)
        from pg_policy join found on found.oid = pg_policy.polrelid
        union all
        select
            'pg_class'::regclass, pg_partitioned_table.partrelid, format('the partitions of %s', found.name),
            pg_partitioned_table.partexprs::text
        from pg_partitioned_table join found on found.oid = pg_partitioned_table.partrelid
    ),

    -- A call in a stored expression looks like {FUNCEXPR :funcid 1299 …}. PostgreSQL's own immutable functions only
    -- compute; of its others, a few that tables have as defaults. Functions of others are found by their dependency.
    calls as (
        select parts.description, call.match[1]::oid as function_id
        from parts
        cross join regexp_matches(parts.expression, ':(?:funcid|aggfnoid|winfnoid) (\d+)', 'g') as call (match)
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
        -- dbt puts some names into its SQL as they are
        select format('the column %I of %s', pg_attribute.attname, found.name)
        from pg_attribute join found on found.oid = pg_attribute.attrelid
        where
            pg_attribute.attnum > 0 and not pg_attribute.attisdropped
            and pg_attribute.attname ~ '[^[:alnum:]_ .:%-]'
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
        select format('the child table %s of %s', pg_inherits.inhrelid::regclass, found.name)
        from pg_inherits join found on found.oid = pg_inherits.inhparent
        where pg_inherits.inhrelid not in (select oid from found)
        union all
        select format('the foreign key of %s to %s', pg_constraint.conrelid::regclass, found.name)
        from pg_constraint
        join found on found.oid = pg_constraint.confrelid
        join pg_class on pg_class.oid = pg_constraint.conrelid
        where
            pg_constraint.contype = 'f' and pg_constraint.conrelid not in (select oid from found)
            and pg_class.relowner not in (select role_id from trusted)
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
        from pg_type
        join schemas on schemas.oid = pg_type.typnamespace
        left join pg_class on pg_class.oid = pg_type.typrelid
        where
            pg_type.typowner not in (select role_id from trusted)
            and pg_type.typcategory <> 'A' and coalesce(pg_class.relkind = 'c', true)
        union all
        select format('the cast from %s to %s', pg_cast.castsource::regtype, pg_cast.casttarget::regtype)
        from pg_cast join pg_proc on pg_proc.oid = pg_cast.castfunc
        where pg_proc.proowner not in (select role_id from trusted)
        union all
        select distinct
            format(
                '%s, which uses %s', parts.description,
                pg_describe_object(pg_depend.refclassid, pg_depend.refobjid, pg_depend.refobjsubid)
            )
        from parts
        join pg_depend on pg_depend.classid = parts.class_id and pg_depend.objid = parts.object_id
        where
            -- what comes with PostgreSQL is not recorded as a dependency
            pg_depend.refclassid in (
                'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass, 'pg_collation'::regclass,
                'pg_opclass'::regclass, 'pg_opfamily'::regclass
            )
            and not (
                pg_depend.refclassid = 'pg_proc'::regclass
                and pg_depend.refobjid in (
                    'media_ops.first_visible_client()'::regprocedure, 'media_ops.last_visible_client()'::regprocedure,
                    'media_ops.touch_updated_at()'::regprocedure
                )
            )
        union all
        select distinct format('%s, which calls %s', calls.description, calls.function_id::regprocedure)
        from calls
        join pg_proc on pg_proc.oid = calls.function_id
        where
            pg_proc.pronamespace = 'pg_catalog'::regnamespace
            and pg_proc.provolatile <> 'i' and pg_proc.proname not in ('now', 'timezone', 'gen_random_uuid', 'uuidv7')
    )

    select description from unexpected order by description
$$;

revoke all on function
media_ops.can_do_more_than_build(), media_ops.others_can_build(), media_ops.unexpected_objects(jsonb)
from public;
grant execute on function
media_ops.can_do_more_than_build(), media_ops.others_can_build(), media_ops.unexpected_objects(jsonb)
to media_transformer;
