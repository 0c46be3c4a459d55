"""Grants and policies on every relation and function: as intended, and as in the catalogue."""

from __future__ import annotations

import psycopg
from access import PROTECTED, TWELVE
from product import MARTS

from loader.project import CHECKOUT

Grants = set[tuple[str, str, str]]
"""The object, the role, and the privileges."""

ALL_MARTS = (*MARTS, *sorted({file.stem for file in (CHECKOUT / "models/marts").glob("*.sql")} - {*MARTS}))
"""The specified marts and those added since; all are protected in the same way."""
SCHEMAS = ("media", "media_ops", "media_models")
USER_COLUMNS = (
    "client_id",
    "created_at",
    "database_login",
    "disabled_at",
    "email",
    "id",
    "role",
    "updated_at",
)
GRANTS: Grants = {
    *(
        (f"media.{table}", f"media_{who}", "SELECT")
        for table in ALL_MARTS
        for who in ("client", "portal", "reader")
    ),
    *(("media.clients", f"media_{who}", "SELECT") for who in ("client", "portal", "reader", "loader")),
    ("media.clients", "media_transformer", "SELECT"),
    *(
        (f"media.users.{column}", f"media_{who}", "SELECT")
        for column in USER_COLUMNS
        for who in ("portal", "reader")
    ),
    *(("media.client_settings", f"media_{who}", "SELECT") for who in ("loader", "reader", "transformer")),
    *((f"media.{table}", "media_reader", "SELECT") for table in ("ingestion_logs", "staging_media_raw")),
    *((f"media.{table}", "media_transformer", "SELECT") for table in ("ingestion_logs", "staging_media_raw")),
    ("media.ingestion_logs", "media_loader", "INSERT SELECT UPDATE"),
    ("media.staging_media_raw", "media_loader", "INSERT SELECT"),
    *(("media_ops.applied_schema", f"media_{who}", "SELECT") for who in ("loader", "transformer")),
    *(
        (f"media_ops.{view}", f"media_{who}", "SELECT")
        for view in (
            *("cpm_periods", "feed_places", "running_runs", "runs_that_count"),
            "runs_waiting_for_retry",
        )
        for who in ("loader", "transformer")
    ),
    ("media_ops.lock_object(text,text)", "media_loader", "EXECUTE"),
    ("media_ops.run_when_free(regclass,text,interval,interval)", "media_transformer", "EXECUTE"),
    ("media_ops.can_do_more_than_build()", "media_transformer", "EXECUTE"),
    ("media_ops.others_can_build()", "media_transformer", "EXECUTE"),
    ("media_ops.unexpected_objects(jsonb)", "media_transformer", "EXECUTE"),
    ("media_ops.nightly_flow_lock", "media_loader", "DELETE"),
    ("media_ops.marts_lock", "media_transformer", "DELETE"),
    ("media_ops.views_lock", "media_transformer", "DELETE"),
    ("media_ops.objects_loading", "media_loader", "DELETE INSERT SELECT"),
    ("media_ops.days_built", "media_transformer", "DELETE INSERT SELECT UPDATE"),
    ("media_ops.days_built", "media_loader", "SELECT"),
    *(("media_ops.feeds", f"media_{who}", "INSERT SELECT UPDATE") for who in ("loader", "transformer")),
    *(("media_ops.run_keys", f"media_{who}", "INSERT SELECT UPDATE") for who in ("loader", "transformer")),
    ("media_ops.rejected_rows", "media_loader", "INSERT SELECT"),
    ("media_ops.summary_rows", "media_loader", "INSERT SELECT"),
    ("media_ops.summary_rows", "media_transformer", "SELECT"),
    *(("media_ops.file_of(text,text,text)", f"media_{who}", "EXECUTE") for who in ("loader", "transformer")),
    ("media_ops.run_days", "media_loader", "INSERT SELECT"),
    ("media_ops.run_days", "media_transformer", "SELECT"),
    ("media_ops.id_secret", "media_transformer", "SELECT"),
    *(("schema media", f"media_{who}", "USAGE") for who in ("client", "portal", "reader", "loader")),
    ("schema media", "media_transformer", "CREATE USAGE"),
    *(("schema media_ops", f"media_{who}", "USAGE") for who in ("loader", "portal", "transformer")),
    ("schema media_models", "media_transformer", "CREATE USAGE"),
    ("media_ops.first_visible_client()", "media_client", "EXECUTE"),
    *(
        (f"media_ops.{which}()", "media_portal", "EXECUTE")
        for which in (
            "first_visible_client",
            "last_visible_client",
            "first_visible_user",
            "last_visible_user",
        )
    ),
    ("media_ops.sign_in(text)", "media_portal", "EXECUTE"),
    *(
        (f"media_ops.{which}", "media_transformer", "EXECUTE")
        for which in (
            "auto_update(regclass)",
            "protect(regclass,jsonb)",
            "protect_by_client(regclass,name)",
            "protect_mart(regclass)",
            "refresh_statistics()",
            "touch_updated_at()",
            "add_client_key(regclass,name,name)",
        )
    ),
}
CLIENTS_OWN = "{} = ANY (ARRAY[( SELECT media_ops.first_visible_client() AS first_visible_client)])"
VISIBLE = (
    "(({0} >= ANY (ARRAY[( SELECT media_ops.first_visible_{1}() AS first_visible_{1})]))"
    " AND ({0} <= ANY (ARRAY[( SELECT media_ops.last_visible_{1}() AS last_visible_{1})])))"
)


def policies() -> set[tuple[str, str, str]]:
    """Returns table, roles and condition of every intended policy."""
    found = {
        ("users", "media_portal", VISIBLE.format("id", "user")),
        ("users", "media_reader", "true"),
    }
    for table in PROTECTED:
        column = "id" if table == "clients" else "client_id"
        found |= {
            (table, "media_client", f"({CLIENTS_OWN.format(column)})"),
            (table, "media_portal", VISIBLE.format(column, "client")),
            (table, "media_loader media_reader media_transformer", "true"),
        }
    return found


GRANTED = """
with granted as (
    select
        pg_class.relnamespace::regnamespace || '.' || pg_class.relname as what,
        pg_class.relowner as owner,
        acl.grantee,
        acl.privilege_type
    from pg_class
    cross join aclexplode(pg_class.relacl) as acl
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and pg_class.relnamespace::regnamespace::text = any(%(schemas)s)
    union all
    select
        pg_class.relnamespace::regnamespace || '.' || pg_class.relname || '.' || pg_attribute.attname,
        pg_class.relowner, acl.grantee, acl.privilege_type
    from pg_class
    join pg_attribute on pg_attribute.attrelid = pg_class.oid
    cross join aclexplode(pg_attribute.attacl) as acl
    where pg_class.relnamespace::regnamespace::text = any(%(schemas)s)
    union all
    select
        pg_proc.oid::regprocedure::text,
        pg_proc.proowner, acl.grantee, acl.privilege_type
    from pg_proc
    cross join aclexplode(coalesce(pg_proc.proacl, acldefault('f', pg_proc.proowner))) as acl
    where pg_proc.pronamespace::regnamespace::text = any(%(schemas)s)
    union all
    select 'schema ' || pg_namespace.nspname, pg_namespace.nspowner, acl.grantee, acl.privilege_type
    from pg_namespace
    cross join aclexplode(pg_namespace.nspacl) as acl
    where pg_namespace.nspname = any(%(schemas)s)
)

select
    what,
    case when grantee = 0 then 'PUBLIC' else grantee::regrole::text end,
    string_agg(distinct privilege_type, ' ' order by privilege_type)
from granted
where grantee <> owner
group by what, grantee
"""


def differences(connection: psycopg.Connection) -> list[str]:
    """Returns one line for each difference between the catalogue and what is intended."""
    with connection.transaction():
        connection.execute("set local search_path = pg_catalog")
        granted = set(connection.execute(GRANTED.encode(), {"schemas": list(SCHEMAS)}).fetchall())
        found = set(
            connection.execute(
                """
                select relname, (
                    select string_agg(role::regrole::text, ' ' order by role::regrole::text)
                    from unnest(polroles) as role
                ), pg_get_expr(polqual, polrelid)
                from pg_policy join pg_class on pg_class.oid = polrelid
                where polcmd = 'r' and polpermissive
                """
            ).fetchall()
        )
        others = connection.execute(
            "select polname, polrelid::regclass::text from pg_policy where polcmd <> 'r' or not polpermissive"
        ).fetchall()
        tables = connection.execute(
            """
            select relname, relkind::text, relrowsecurity, relforcerowsecurity, relowner::regrole::text
            from pg_class where relnamespace = 'media'::regnamespace and relkind not in ('i', 'I', 't', 'c')
            """
        ).fetchall()
    wrong = [f"granted, but not intended: {line}" for line in sorted(granted - GRANTS)]
    wrong += [f"intended, but not granted: {line}" for line in sorted(GRANTS - granted)]
    wrong += [f"policy not intended: {line}" for line in sorted(found - policies())]
    wrong += [f"policy missing: {line}" for line in sorted(policies() - found)]
    wrong += [f"policy of another kind: {line}" for line in others]
    for name, kind, enabled, forced, owner in tables:
        secured = name in {*PROTECTED, "users"}
        if (enabled, forced) != (secured, False):
            wrong.append(f"row-level security of {name}: {enabled}, {forced}")
        if (owner == "media_transformer") != (name in ALL_MARTS):
            wrong.append(f"{name} belongs to {owner}")
        if kind != "r" and (name, kind) != ("ingestion_logs_run_number_seq", "S"):
            wrong.append(f"{name} is of kind {kind}")
        elif kind == "r" and name not in {*TWELVE, *ALL_MARTS}:
            wrong.append(f"{name} is not one of the twelve tables: declare who may read it")
    return wrong
