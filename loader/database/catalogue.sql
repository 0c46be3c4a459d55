-- Everything that loader/database/schema can change, as text: if two results differ, something was changed; if the
-- results of two databases are equal, so are their schemas. The order in which objects were created makes no
-- difference, except for the order of a table's columns.
with ours as (
    select oid, nspname, nspowner, nspacl from pg_namespace where nspname in ('media', 'media_ops', 'media_models')
),

relations as (
    select * from pg_class where relnamespace in (select oid from ours) and relkind in ('r', 'p', 'v', 'm', 'S')
),

objects (kind, classid, objid, owner, acl, state) as (
    select 'schema', 'pg_namespace'::regclass, oid, nspowner, coalesce(nspacl, acldefault('n', nspowner)), ''
    from ours
    union all
    select
        'relation', 'pg_class'::regclass, oid, relowner,
        coalesce(relacl, acldefault(case relkind when 'S' then 's'::"char" else 'r' end, relowner)),
        concat_ws(
            ' ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, reltablespace, reloptions,
            (
                select string_agg(inhparent::regclass::text, ',' order by inhseqno)
                from pg_inherits
                where inhrelid = relations.oid
            )
        )
    from relations
    union all
    select
        'function', 'pg_proc'::regclass, oid, proowner, coalesce(proacl, acldefault('f', proowner)),
        pg_get_functiondef(oid)
    from pg_proc
    where pronamespace in (select oid from ours) and prokind in ('f', 'p')
    union all
    -- except the row types of tables, and array types
    select
        'type', 'pg_type'::regclass, oid, typowner, coalesce(typacl, acldefault('T', typowner)),
        concat_ws(
            ' ', typtype, format_type(typbasetype, typtypmod), typnotnull, typdefault,
            (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum where enumtypid = pg_type.oid),
            (
                select string_agg(pg_get_constraintdef(pg_constraint.oid), ',' order by conname)
                from pg_constraint
                where contypid = pg_type.oid
            )
        )
    from pg_type
    where typnamespace in (select oid from ours) and typrelid = 0 and typelem = 0
),

parts (kind, classid, objid, objsubid, state) as (
    select 'view', 'pg_class'::regclass, oid, 0, pg_get_viewdef(oid) from relations where relkind in ('v', 'm')
    union all
    select
        'sequence', 'pg_class'::regclass, seqrelid, 0,
        concat_ws(' ', seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)
    from pg_sequence
    where seqrelid in (select oid from relations)
    union all
    select
        'column', 'pg_class'::regclass, attrelid, attnum,
        concat_ws(
            ' ', row_number() over (partition by attrelid order by attnum), format_type(atttypid, atttypmod),
            attcollation::regcollation, attnotnull, attidentity, attgenerated, attstorage, attcompression,
            attstattarget, attoptions, pg_get_expr(adbin, adrelid),
            (select string_agg(granted::text, ',' order by granted::text) from unnest(attacl) as granted)
        )
    from pg_attribute
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid in (select oid from relations) and attnum > 0 and not attisdropped
    union all
    select
        'constraint', 'pg_constraint'::regclass, oid, 0, concat_ws(' ', pg_get_constraintdef(oid), convalidated)
    from pg_constraint
    where conrelid in (select oid from relations)
    union all
    select
        'index', 'pg_class'::regclass, indexrelid, 0,
        concat_ws(
            ' ', pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident,
            (
                select string_agg(concat_ws('=', attname, attstattarget), ',' order by attnum)
                from pg_attribute
                where attrelid = indexrelid
            )
        )
    from pg_index
    where indrelid in (select oid from relations)
    union all
    select 'trigger', 'pg_trigger'::regclass, oid, 0, concat_ws(' ', pg_get_triggerdef(oid), tgenabled)
    from pg_trigger
    where tgrelid in (select oid from relations) and not tgisinternal
    union all
    select 'rule', 'pg_rewrite'::regclass, oid, 0, concat_ws(' ', pg_get_ruledef(oid), ev_enabled)
    from pg_rewrite
    where ev_class in (select oid from relations) and rulename <> '_RETURN'
    union all
    select
        'policy', 'pg_policy'::regclass, oid, 0,
        concat_ws(
            ' ', polcmd, polpermissive, polroles::regrole [], pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid)
        )
    from pg_policy
    where polrelid in (select oid from relations)
    union all
    select 'statistics', 'pg_statistic_ext'::regclass, oid, 0, pg_get_statisticsobjdef(oid)
    from pg_statistic_ext
    where stxrelid in (select oid from relations)
),

named as (
    select
        kind, classid, objid, 0 as objsubid,
        concat_ws(
            ' ', owner::regrole,
            (select string_agg(granted::text, ',' order by granted::text) from unnest(acl) as granted), state
        ) as state
    from objects
    union all
    select * from parts
)

select kind, (pg_identify_object(classid, objid, objsubid)).identity as name, state from named
union all
select 'comment', (pg_identify_object(classoid, objoid, objsubid)).identity, description
from pg_description
where
    (classoid, objoid) in (select classid, objid from named)
union all
select 'default', concat_ws(' ', defaclrole::regrole, defaclobjtype), defaclacl::text from pg_default_acl
where defaclnamespace in (select oid from ours) or defaclnamespace = 0
union all
-- what everyone may do in the database and in schema public: the schema files may revoke it
select 'database', '', (select string_agg(granted::text, ',' order by granted::text) from unnest(datacl) as granted)
from pg_database
where datname = current_database()
union all
select 'public', nspname, (select string_agg(granted::text, ',' order by granted::text) from unnest(nspacl) as granted)
from pg_namespace
where nspname = 'public'
union all
select
    'role', rolname,
    concat_ws(
        ' ', rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
        rolvaliduntil, rolconfig
    )
from pg_roles
where rolname like 'media\_%'
union all
select 'setting', coalesce(rolname, 'everyone'), setconfig::text
from pg_db_role_setting
left join pg_roles on pg_roles.oid = setrole
where setdatabase = (select oid from pg_database where datname = current_database())
union all
select 'member', concat_ws(' ', roleid::regrole, member::regrole), admin_option::text from pg_auth_members
where roleid::regrole::text like 'media\_%'
order by kind, name, state
