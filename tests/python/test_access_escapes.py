"""Attempts of a client's login to see other rows with SQL: each gives its own rows or an error."""

from __future__ import annotations

import re

import psycopg
import pytest
from access import PROTECTED, Agency, rows
from psycopg import sql

pytestmark = pytest.mark.any_postgres

# acme_bi runs each statement; any of them may fail. {admin} and {gus} are ids of users.
ATTEMPTS = {
    "setting": ["set app.current_user_id = '{admin}'"],
    "setting of the role": [
        "alter role acme_bi set app.current_user_id = '{admin}'",
        "alter role current_user in database agency set role media_transformer",
    ],
    "row_security off": ["set row_security = off"],
    "other roles": [
        f"set role {role}"
        for role in (
            *("media_reader", "media_portal", "media_loader", "media_transformer", "agency_owner"),
            *("globex_bi", "agency_bi", "portal", "media", "media_client", "pg_read_all_data"),
        )
    ],
    "other sessions": [
        "set session authorization globex_bi",
        "set session authorization agency_owner",
        "set app.current_user_id = '{admin}'",
    ],
    "membership": [
        "grant media_portal to acme_bi",
        "grant media_reader to acme_bi",
        "grant globex_bi to acme_bi",
        "alter role acme_bi bypassrls",
        "alter role acme_bi superuser",
        "set app.current_user_id = '{admin}'",
    ],
    "planted tables": [
        "create temp table users as select '{admin}'::uuid as id, 'admin' as role, null::uuid as client_id,"
        " session_user as database_login, null::timestamp as disabled_at",
        "create temp table clients (id uuid, status text)",
        "create temp table pg_auth_members (roleid oid, member oid)",
        "insert into pg_auth_members select roles.oid, me.oid from pg_roles as roles, pg_roles as me"
        " where roles.rolname = 'media_portal' and me.rolname = session_user",
        "create temp table pg_roles as select oid, 'acme_bi'::name as rolname from pg_catalog.pg_roles",
        "grant all on users, clients, pg_auth_members, pg_roles to public",
        "set app.current_user_id = '{admin}'",
        "set search_path = pg_temp, media, pg_catalog",
    ],
    "planted functions and types": [
        "create function pg_temp.pg_has_role(name, text, text) returns boolean language sql return true",
        "create function pg_temp.first_visible_client() returns uuid language sql"
        " return '00000000-0000-0000-0000-000000000000'::uuid",
        "create function pg_temp.yes(uuid, uuid) returns boolean language sql return true",
        "create operator pg_temp.= (leftarg = uuid, rightarg = uuid, function = pg_temp.yes)",
        "create operator pg_temp.<= (leftarg = uuid, rightarg = uuid, function = pg_temp.yes)",
        "create type pg_temp.regrole as enum ('media_portal')",
        "create domain pg_temp.uuid as text",
        "create domain pg_temp.text as pg_catalog.text check (value <> '')",
        "set search_path = pg_temp, media_ops, media, pg_catalog",
        "set app.current_user_id = '{admin}'",
    ],
    "planted where others look": [
        "create function public.lower(character varying) returns text language sql return 'x'",
        "create function media.lower(character varying) returns text language sql return 'x'",
        "create schema acme_bi",
        "create table media.mine (id int)",
        "create extension if not exists dblink",
    ],
    "changing the tables": [
        *(
            statement.format(table=f"media.{table}")
            for table in PROTECTED
            for statement in (
                "alter table {table} disable row level security",
                "alter table {table} owner to acme_bi",
                "drop policy rows_of_media_client on {table}",
                "create policy mine on {table} using (true)",
                "create trigger mine before insert on {table} execute function tsvector_update_trigger()",
                "create rule mine as on insert to {table} do instead nothing",
                "create index on {table} (id)",
                "grant select on {table} to public",
                "insert into {table} select * from {table}",
                "insert into {table} select * from {table} on conflict do nothing",
                "update {table} set id = id",
                "delete from {table}",
                "truncate {table} cascade",
                "lock table {table} in share mode",
                "select * from {table} for update",
                "comment on table {table} is 'mine'",
            )
        ),
        "update media.users set database_login = 'acme_bi' where role = 'admin'",
        "update media.clients set status = 'active'",
        "call media_ops.protect_by_client('media.campaigns', 'id')",
        "create or replace function media_ops.first_visible_client() returns uuid language sql return null",
        "drop function media_ops.first_visible_client() cascade",
    ],
    "parallel workers": [
        "set debug_parallel_query = on",
        "set force_parallel_mode = on",
        "set parallel_setup_cost = 0",
        "set parallel_tuple_cost = 0",
        "set min_parallel_table_scan_size = 0",
        "set app.current_user_id = '{admin}'",
    ],
}


def attempt(connection: psycopg.Connection, statement: str) -> list[tuple[object, ...]] | None:
    """Runs a statement; returns its rows, or None if it failed."""
    try:
        done = connection.execute(statement.encode())
    except psycopg.Error:
        return None
    return done.fetchall() if done.description else []


@pytest.mark.parametrize("name", ATTEMPTS)
def test_after_an_attempt_a_client_sees_its_own_rows_or_an_error(agency: Agency, name: str) -> None:
    ids = {"admin": agency.user("admin@agency.example"), "gus": agency.user("gus@globex.example")}
    own = {table: agency.rows_as_owner(table, "Acme") for table in PROTECTED}
    try:
        with agency.connection("acme_bi") as connection:
            for statement in ATTEMPTS[name]:
                attempt(connection, statement.format(**ids))
                for table in ("campaigns", "clients"):
                    found = attempt(connection, f"select * from media.{table} order by id")
                    assert found in (None, [], own[table]), statement
            for table in PROTECTED:
                assert attempt(connection, f"select * from media.{table} order by id") in (None, own[table])
        with agency.connection("acme_bi") as connection:  # the same in the next session
            for table in PROTECTED:
                assert rows(connection, table) == own[table]
    finally:
        with agency.server.connect("agency") as connection:
            connection.execute("alter role acme_bi reset all")
            connection.execute("alter role acme_bi in database agency reset all")


@pytest.mark.parametrize(
    "statement",
    [
        "set role media_portal",
        "set role agency_owner",
        "set session authorization globex_bi",
        "set row_security = off; select * from media.daily_metrics",
        "copy (select 1) to program 'cat'",
        "copy (select 1) to '/tmp/acme_bi'",
        "create temp table t (line text); copy t from program 'id'",
        "create temp table t (line text); copy t from '/etc/passwd'",
        "select pg_read_file('PG_VERSION')",
        "select pg_ls_dir('.')",
        "select lo_import('/etc/passwd')",
        "select lo_export(lo_create(0), '/tmp/acme_bi')",
        "select * from pg_statistic",
        "select * from pg_authid",
        "select pg_stat_reset()",
        "select set_config('session_authorization', 'globex_bi', false)",
        "select set_config('role', 'media_reader', false)",
        "select media_ops.sign_in('gus@globex.example')",
        "select media_ops.first_visible_client()",
        "select 'media_ops.visible'::regproc",
        "alter system set row_security = off",
        "load 'x'",
        "create function pg_temp.f() returns int language c as 'x'",
        "create role mine",
        "create subscription mine connection '' publication p",
        "create publication mine for all tables",
        "create event trigger mine on ddl_command_start execute function f()",
        "create statistics media.mine on id, name from media.campaigns",
        "reassign owned by media_transformer to acme_bi",
        "select * from media.daily_metrics for share",
        "create extension pageinspect",
        "select * from pg_statistic_ext_data",
        "explain select * from media.users",
        "explain select 1 from media.client_settings",
    ],
)
def test_a_forbidden_statement_gives_an_error(agency: Agency, statement: str) -> None:
    with agency.connection("acme_bi") as connection, pytest.raises(psycopg.Error):
        connection.execute(statement.encode())


@pytest.mark.parametrize("table", PROTECTED)
def test_every_way_to_read_a_table_gives_own_rows(agency: Agency, table: str) -> None:
    own = agency.rows_as_owner(table, "Acme")
    name = sql.Identifier("media", table)
    others = sql.Literal(f"media.{table}"), sql.Literal(agency.user("admin@agency.example"))
    ways = [
        "table {0}",
        "select * from only {0}",
        "with all_of_it as materialized (select * from {0}) select * from all_of_it",
        "select one.* from {0} as one left join {0} as other on other.id = one.id",
        "select distinct * from {0} where true or id is null",
        "select * from {0} tablesample bernoulli (100)",
        "select * from {0} where xmin::text <> '' and tableoid = {1}::regclass and ctid is not null",
        "select it.* from (select set_config('app.current_user_id', {2}, false)) as set"
        " cross join lateral (select * from {0} offset 0) as it",
        "with set as materialized (select set_config('app.current_user_id', {2}, false) as id)"
        " select it.* from {0} as it where exists (select from set where set.id <> it.id::text)",
        "select (pg_temp.by_function()).*",
        "select * from pg_temp.by_view",
        "execute by_statement",
        "fetch all from by_cursor",
        "select * from pg_temp.copied",
    ]
    with agency.connection("acme_bi") as connection:
        for prepare in (
            "create view pg_temp.by_view as select * from {0}",
            "create function pg_temp.by_function() returns setof {0} language sql security definer"
            " as 'select * from {0}'",
            "prepare by_statement as select * from {0}",
            "create temp table copied as select * from {0}",
        ):
            connection.execute(sql.SQL(prepare).format(name))
        with connection.transaction():
            connection.execute(
                sql.SQL("declare by_cursor cursor with hold for select * from {}").format(name)
            )
        for way in ways:
            found = connection.execute(sql.SQL(way).format(name, *others)).fetchall()
            assert sorted(found, key=repr) == sorted(own, key=repr), way
        for copied in ("copy {0} to stdout", "copy (select * from {0}) to stdout"):
            with connection.cursor().copy(sql.SQL(copied).format(name)) as lines:
                assert len(list(lines.rows())) == len(own)
        count = sql.SQL("select count(*), count(distinct id) from {}").format(name)
        assert connection.execute(count).fetchone() == (len(own), len(own))


@pytest.mark.parametrize("table", PROTECTED)
def test_no_expression_sees_a_row_before_the_policy_is_applied(agency: Agency, table: str) -> None:
    """A function that prints its argument, and casts whose errors show it, only get own rows."""
    notices: list[str] = []
    own = len(agency.rows_as_owner(table, "Acme"))
    name = sql.Identifier("media", table)
    with agency.connection("acme_bi") as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        connection.execute(
            "create function pg_temp.print(text) returns boolean language plpgsql cost 0.0000001"
            " as $$ begin raise notice '%', $1; return true; end $$"
        )
        for query in (
            "select count(*) from {0} as it where pg_temp.print(it::text)",
            "select count(*) from {0} as it join {0} as other using (id) where pg_temp.print(other::text)",
            "select count(*) from {0} as it where id is not null and (pg_temp.print(it::text) or id is null)",
        ):
            notices.clear()
            assert connection.execute(sql.SQL(query).format(name)).fetchone() == (own,)
            assert len(notices) == own
            assert not re.search("Globex|Initech", " ".join(notices))
        for query in (
            "select * from {0} as it where (it::text)::int = 1",
            "select * from {0} as it where 1 / (case when it::text like '%Globex%' then 0 else 1 end) = 2",
            "select * from {0} as it order by (it::text)::date",
        ):
            try:
                found = connection.execute(sql.SQL(query).format(name)).fetchall()
            except psycopg.Error as error:
                assert not re.search("Globex|Initech|division", str(error))
            else:
                assert found == []


def test_statistics_views_are_empty(agency: Agency) -> None:
    with agency.connection("acme_bi") as connection:
        for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
            found = connection.execute(
                sql.SQL("select * from {} where schemaname like 'media%'").format(sql.Identifier(view))
            ).fetchall()
            assert found == []


def test_there_are_no_statistics_on_text_columns(agency: Agency) -> None:
    with agency.server.connect("agency") as connection:
        found = connection.execute(
            """
            with protected as (select oid from pg_class where relrowsecurity)
            select starelid::regclass::text, attname, atttypid::regtype::text
            from pg_statistic join pg_attribute on attrelid = starelid and attnum = staattnum
            where starelid in (
                select oid from protected
                union all
                select indexrelid from pg_index where indrelid in (select oid from protected)
            )
            """
        ).fetchall()
    assert len({relation for relation, _, _ in found}) == 9
    assert [one for one in found if one[2] in {"text", "character varying"}] == []


@pytest.mark.parametrize("login", ["acme_bi", "portal"])
def test_a_plan_does_not_reveal_whether_another_client_has_a_name(agency: Agency, login: str) -> None:
    def plan(connection: psycopg.Connection, table: str, condition: str) -> object:
        query = sql.SQL("explain select * from {} where {}").format(
            sql.Identifier("media", table), sql.SQL(condition)
        )
        lines = connection.execute(query).fetchall()
        return [re.sub("'.*?'", "", line) for (line,) in lines]

    user = agency.user("ann@acme.example") if login == "portal" else None
    with agency.connection(login, user) as connection:
        for setting in ("on", "off"):
            connection.execute(sql.SQL("set enable_seqscan = {}").format(sql.SQL(setting)))
            for table in ("clients", "campaigns", "strategies", "placements", "creatives"):
                for column in ("name", "lower(name)"):
                    for operator in ("=", "<", ">="):
                        plans = [
                            plan(connection, table, f"{column} {operator} '{name}'")
                            for name in ("Globex", "Globex secret", "globex", "one", "S", "Nobody", "a", "z")
                        ]
                        assert all(one == plans[0] for one in plans), (table, column, operator)


def test_other_sessions_queries_are_hidden(agency: Agency) -> None:
    with agency.connection("globex_bi") as other, agency.connection("acme_bi") as connection:
        other.execute("select 'the secret of Globex'")
        found = connection.execute(
            "select query, client_addr, xact_start from pg_stat_activity where pid = %s",
            [other.info.backend_pid],
        ).fetchall()
        assert found == [("<insufficient privilege>", None, None)]
        for act in ("pg_cancel_backend", "pg_terminate_backend"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(
                    sql.SQL("select {}(%s)").format(sql.Identifier(act)), [other.info.backend_pid]
                )


def test_a_setting_in_the_connection_string_has_no_effect(agency: Agency) -> None:
    admin = agency.user("admin@agency.example")
    with agency.connection("acme_bi", options=f"-c app.current_user_id={admin}") as connection:
        assert rows(connection, "campaigns") == agency.rows_as_owner("campaigns", "Acme")
    for options in ("-c role=media_transformer", "-c session_authorization=globex_bi"):
        with pytest.raises(psycopg.OperationalError), agency.connection("acme_bi", options=options):
            pass


def test_only_the_portal_can_call_sign_in(agency: Agency) -> None:
    for login in ("acme_bi", "agency_bi", "outsider", "loading", "building"):
        with agency.connection(login) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from media_ops.sign_in('gus@globex.example')")


@pytest.mark.parametrize(
    "shape",
    [
        "create index on media.shaped ((media_models.planned()))",
        "create index on media.shaped (client_id) where media_models.planned()",
        "alter table media.shaped add check (media_models.planned())",
        "create statistics media_models.shaped on (media_models.planned()), client_id from media.shaped",
        "alter table media.shaped enable row level security, force row level security;"
        "create policy shaped on media.shaped using (media_models.planned())",
        "create rule shaped as on update to media.shaped do instead select media_models.planned()",
    ],
)
def test_the_owner_checks_the_keys_of_plain_tables_only(agency: Agency, shape: str) -> None:
    """Planning a query runs the functions in a table's indexes and checks, as whoever queries it."""
    with agency.connection("building") as building, building.transaction(force_rollback=True):
        building.execute("set role media_transformer")
        building.execute(
            "create function media_models.planned() returns boolean immutable language plpgsql as $$begin"
            " if current_user <> 'media_transformer' then raise exception 'ran as %', current_user; end if;"
            " return true; end$$"
        )
        for name in ("plain", "shaped"):
            building.execute(f"create table media.{name} (client_id uuid)".encode())
            building.execute(f"insert into media.{name} select id from media.clients".encode())
        building.execute("set constraint_exclusion = on")
        building.execute(shape.encode())
        for name in ("plain", "shaped"):
            building.execute("select media_ops.add_client_key(%s, 'client_id', 'its_key')", [f"media.{name}"])
        validated = building.execute(
            "select conrelid::regclass::text from pg_constraint where contype = 'f' and convalidated"
            " and conrelid in ('media.plain'::regclass, 'media.shaped'::regclass)"
        ).fetchall()
        assert validated == [("media.plain",)]
