"""Policies, row-level security and grants on every relation and function."""

from __future__ import annotations

import psycopg
import pytest
from access import PROTECTED, TWELVE, Agency
from access_catalogue import differences

pytestmark = pytest.mark.any_postgres


def test_the_catalogue_has_the_intended_grants_and_policies(agency: Agency) -> None:
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
def test_a_mistake_in_the_catalogue_is_found(agency: Agency, mistake: str) -> None:
    with agency.connection("agency_owner") as connection, connection.transaction(force_rollback=True):
        connection.execute(mistake.encode())
        assert differences(connection)


def test_only_the_agency_can_read_a_new_table(agency: Agency) -> None:
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
        # nor any privilege in system schemas, on the database or on tablespaces
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


def test_functions_search_temporary_objects_last_and_only_some_run_as_their_owner(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        found = connection.execute(
            """
            select proname, prosecdef, proconfig, proowner::regrole::text, prosqlbody is not null
            from pg_proc
            where pronamespace::regnamespace::text in ('media', 'media_ops', 'media_models')
            """
        ).fetchall()
    assert {name for name, definer, *_ in found if definer} == {
        *("visible", "sign_in", "refresh_statistics", "add_client_key"),
        *(f"{end}_visible_{what}" for end in ("first", "last") for what in ("client", "user")),
    }
    for name, definer, settings, owner, is_parsed in found:
        assert owner == "agency_owner", name
        # a body that was parsed when the function was created does not search for names
        assert (is_parsed and not definer) or settings[0] == "search_path=pg_catalog, pg_temp", name


def test_bi_users_see_only_the_tables_that_they_may_read(agency: Agency) -> None:
    seen = """
        select table_schema, table_name from information_schema.tables
        where table_schema not in ('pg_catalog', 'information_schema')
        union all
        select routine_schema, routine_name from information_schema.routines
        where routine_schema not in ('pg_catalog', 'information_schema')
        union all
        select sequence_schema, sequence_name from information_schema.sequences
    """
    # they see the name of their policy's function, but calling it gives an error (the next test)
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
def test_objects_without_a_grant_give_an_error(agency: Agency, login: str) -> None:
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
