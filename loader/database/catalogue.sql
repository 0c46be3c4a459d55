-- All that loader/database/schema can change, in text: two results that differ mean that something was changed.
with ours as (
    select oid, nspname from pg_namespace where nspname in ('media', 'media_ops', 'media_models')
),

relations as (
    select pg_class.* from pg_class where relnamespace in (select oid from ours) and relkind in ('r', 'p', 'v', 'S')
)

select 'schema' as kind, nspname::text as name, pg_get_userbyid(nspowner) || nspacl::text as state from pg_namespace
where oid in (select oid from ours)
union all
select 'relation', oid::regclass::text, concat_ws(' ', relowner::regrole, relacl, relrowsecurity, reloptions)
from relations
union all
select 'view', oid::regclass::text, pg_get_viewdef(oid) from relations where relkind = 'v'
union all
select
    'column', concat_ws(' ', attrelid::regclass, attname),
    concat_ws(
        ' ', format_type(atttypid, atttypmod), attnotnull, attidentity, attacl, attstattarget,
        pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)
    )
from pg_attribute
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attrelid in (select oid from relations) and attnum > 0 and not attisdropped
union all
select 'constraint', concat_ws(' ', conrelid::regclass, conname), pg_get_constraintdef(oid) from pg_constraint
where conrelid in (select oid from relations)
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
where indrelid in (select oid from relations)
union all
select 'trigger', concat_ws(' ', tgrelid::regclass, tgname), pg_get_triggerdef(oid) from pg_trigger
where tgrelid in (select oid from relations) and not tgisinternal
union all
select
    'policy', concat_ws(' ', polrelid::regclass, polname),
    concat_ws(' ', polcmd, polroles::regrole [], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
from pg_policy
where polrelid in (select oid from relations)
union all
select 'function', oid::regprocedure::text, concat_ws(' ', pg_get_functiondef(oid), proowner::regrole, proacl)
from pg_proc
where pronamespace in (select oid from ours) and prokind in ('f', 'p')
union all
select 'comment', classoid::regclass || ' ' || objoid, description from pg_description
where objoid in (select oid from relations) and objsubid = 0
union all
select 'default', concat_ws(' ', defaclrole::regrole, defaclobjtype), defaclacl::text from pg_default_acl
where defaclnamespace in (select oid from ours)
union all
select 'role', rolname, concat_ws(' ', rolcanlogin, rolinherit, rolcreaterole, rolconfig) from pg_roles
where rolname like 'media\_%'
union all
select 'member', concat_ws(' ', roleid::regrole, member::regrole), admin_option::text from pg_auth_members
where roleid::regrole::text like 'media\_%'
order by kind, name, state
