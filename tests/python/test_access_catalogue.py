"""Policies, row-level security and grants of every relation there is, and whom they are given to."""

from __future__ import annotations

import psycopg
import pytest
from access import PROTECTED, TWELVE, Agency
from access_catalogue import differences

pytestmark = pytest.mark.any_postgres


def test_everything_in_the_catalogue_is_as_meant(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        assert differences(connection) == []


@pytest.mark.parametrize(
    "mistake",
    [
        "create table media.forecasts (client_id uuid)",
        "create table media.forecasts (client_id uuid); grant select on media.forecasts to media_client",
        "create view media.all_campaigns as select * from media.campaigns",
        "create materialized view media.totals as select client_id, spend from media.daily_metrics",
        "create view media_models.v as select 1 as one; grant select on media_models.v to public",
        "create function media_ops.f() returns int language sql return 1",
        "create sequence media_ops.s; grant usage on sequence media_ops.s to media_client",
        "grant select on media.client_settings to media_client",
        "grant select (password_hash) on media.users to media_reader",
        "grant select on media.users to media_reader",
        "grant insert on media.campaigns to media_portal",
        "grant usage on schema media_models to media_reader",
        "grant create on schema media to public",
        "alter table media.campaigns disable row level security",
        "drop policy rows_of_media_client on media.campaigns",
        "create policy more on media.campaigns for select to media_client using (true)",
        "alter policy rows_of_media_client on media.campaigns to media_client using (true)",
        "alter policy rows_of_media_reader on media.campaigns to public",
    ],
)
def test_a_mistake_is_noticed(agency: Agency, mistake: str) -> None:
    with agency.connection("agency_owner") as connection, connection.transaction(force_rollback=True):
        connection.execute(mistake.encode())
        assert differences(connection)


def test_a_later_table_is_the_agencys_to_read_alone(agency: Agency) -> None:
    with agency.connection("building") as connection, connection.transaction(force_rollback=True):
        connection.execute("set local role media_transformer")
        connection.execute("create table media.forecasts (client_id uuid)")
        connection.execute("create table media_models.forecasts (client_id uuid)")
        found = connection.execute(
            """
            select relnamespace::regnamespace::text, grantee::regrole::text, privilege_type
            from pg_class, aclexplode(relacl) where relname = 'forecasts' and grantee <> relowner
            """
        ).fetchall()
        assert found == [("media", "media_reader", "SELECT")]


def test_group_roles_can_do_nothing_else(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        found = connection.execute(
            """
            select rolname from pg_roles
            where rolname in (
                'media_loader', 'media_transformer', 'media_reader', 'media_client', 'media_portal'
            ) and not (
                rolcanlogin or rolsuper or rolinherit or rolcreaterole or rolcreatedb or rolreplication
                or rolbypassrls or exists (select from pg_auth_members where member = pg_roles.oid)
            )
            """
        ).fetchall()
        assert len(found) == 5
        # nowhere in the cluster's own schemas, the database or its tablespaces either
        assert (
            connection.execute(
                """
            select classid::regclass, objid, refobjid::regrole from pg_shdepend
            where refclassid = 'pg_authid'::regclass and deptype in ('a', 'o')
                and refobjid::regrole::text like 'media\\_%'
                and dbid = (select oid from pg_database where datname = current_database())
                and not (classid = 'pg_class'::regclass and objid in (
                    select oid from pg_class where relnamespace::regnamespace::text like 'media%'))
                and not (classid = 'pg_proc'::regclass and objid in (
                    select oid from pg_proc where pronamespace::regnamespace::text = 'media_ops'))
                and not (classid = 'pg_namespace'::regclass and objid::regnamespace::text like 'media%')
                and classid not in ('pg_default_acl'::regclass, 'pg_policy'::regclass)
            """
            ).fetchall()
            == []
        )


def test_functions_that_run_as_their_owner_look_at_temporary_objects_last(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        found = connection.execute(
            """
            select proname, prosecdef, proconfig, proowner::regrole::text from pg_proc
            where pronamespace::regnamespace::text in ('media', 'media_ops', 'media_models')
            """
        ).fetchall()
    assert {name for name, definer, _, _ in found if definer} == {
        *("visible", "sign_in", "refresh_statistics", "validate_client_key"),
        *(f"{end}_visible_{what}" for end in ("first", "last") for what in ("client", "user")),
    }
    for name, _, settings, owner in found:
        assert (settings, owner) == (["search_path=pg_catalog, pg_temp"], "agency_owner"), name


def test_bi_users_see_the_tables_that_are_theirs_and_nothing_else(agency: Agency) -> None:
    seen = """
        select table_schema, table_name from information_schema.tables
        where table_schema not in ('pg_catalog', 'information_schema')
        union all
        select routine_schema, routine_name from information_schema.routines
        where routine_schema not in ('pg_catalog', 'information_schema')
        union all
        select sequence_schema, sequence_name from information_schema.sequences
    """
    # the function of their policy has a name, and no more: calling it gives an error (the next test)
    policy = {("media_ops", "first_visible_client")}
    for login, tables, functions in [
        ("acme_bi", PROTECTED, policy),
        ("agency_bi", TWELVE, set()),
        ("outsider", (), set()),
    ]:
        with agency.connection(login) as connection:
            found = set(connection.execute(seen).fetchall())
            assert found == {("media", table) for table in tables} | functions


@pytest.mark.parametrize("login", ["acme_bi", "agency_bi", "portal", "outsider"])
def test_what_is_not_theirs_gives_an_error(agency: Agency, login: str) -> None:
    with agency.connection("agency_owner") as connection:
        relations = connection.execute(
            """
            select format('%I.%I', relnamespace::regnamespace, relname), relkind::text from pg_class
            where relnamespace::regnamespace::text in ('media', 'media_ops', 'media_models')
                and relkind in ('r', 'v', 'm', 'S')
            """
        ).fetchall()
        functions = connection.execute(
            """
            select format('%I.%I', pronamespace::regnamespace, proname), pronargs from pg_proc
            where pronamespace::regnamespace::text in ('media', 'media_ops', 'media_models')
            """
        ).fetchall()
    theirs = {
        "acme_bi": set(PROTECTED),
        "agency_bi": set(TWELVE),
        "portal": {*PROTECTED, "users"},
        "outsider": set(),
    }[login]
    assert len(relations) > 25 and len(functions) > 9
    with agency.connection(login) as connection:
        for relation, kind in relations:
            if relation.removeprefix("media.") not in theirs:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"select * from {relation}".encode())
            if kind == "S":
                for call in (f"nextval('{relation}')", f"currval('{relation}')", f"setval('{relation}', 1)"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(f"select {call}".encode())
            if kind == "r":
                for change in (
                    f"insert into {relation} default values",
                    f"delete from {relation}",
                    f"truncate {relation}",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(change.encode())
        for function, arguments in functions:
            if login == "portal" and ("sign_in" in function or "first_" in function or "last_" in function):
                continue
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select {function}({', '.join(['null'] * arguments)})".encode())
