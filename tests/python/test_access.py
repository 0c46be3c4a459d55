"""Which role sees which rows, compared with the rows that the owner sees."""

from __future__ import annotations

import psycopg
import pytest
from access import PROTECTED, TWELVE, Agency, rows
from product import MARTS
from psycopg import sql

pytestmark = pytest.mark.any_postgres

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("table", PROTECTED)
def test_a_client_sees_all_of_its_own_rows_and_no_others(agency: Agency, table: str) -> None:
    for login, client in {"acme_bi": "Acme", "globex_bi": "Globex", "both_bound": "Acme"}.items():
        with agency.connection(login) as connection:
            expected = agency.rows_as_owner(table, client)
            assert expected and len(expected) < len(agency.rows_as_owner(table))
            assert rows(connection, table) == expected


@pytest.mark.parametrize("table", PROTECTED)
@pytest.mark.parametrize("login", ["portal", "nested_portal"])
def test_the_portal_sees_what_its_user_may_see(agency: Agency, login: str, table: str) -> None:
    with agency.connection(login, agency.user("gus@globex.example")) as connection:
        assert rows(connection, table) == agency.rows_as_owner(table, "Globex")
    with agency.connection(login, agency.user("gus@globex.example").upper()) as connection:
        assert rows(connection, table) == agency.rows_as_owner(table, "Globex")
    with agency.connection(login, agency.user("admin@agency.example")) as connection:
        assert rows(connection, table) == agency.rows_as_owner(table)


@pytest.mark.parametrize("table", PROTECTED)
def test_an_unidentified_or_disabled_user_sees_no_rows(agency: Agency, table: str) -> None:
    admin = agency.user("admin@agency.example")
    for login, user in [
        ("portal", None),
        ("portal", ""),
        ("portal", NOBODY),
        ("portal", "1"),
        ("portal", f"{admin}\n"),
        ("portal", f" {admin}"),
        ("portal", "' or true --"),
        ("portal", agency.user("gone@acme.example")),
        ("portal", agency.user("ida@initech.example")),  # her client is disabled
        ("gone_bi", None),
        ("initech_bi", None),
        ("unbound_bi", None),
        ("unbound_bi", admin),
        ("admin_bi", None),  # an admin sees everything, but only through the portal
        ("admin_bi", admin),
        ("admin_portal", None),
        ("admin_portal", admin),
        ("both_unbound", admin),
    ]:
        with agency.connection(login, user) as connection:
            assert rows(connection, table) == [], (login, user)


@pytest.mark.parametrize("login", ["both_bound", "bound_portal"])
def test_a_login_bound_to_a_user_cannot_act_as_a_portal(agency: Agency, login: str) -> None:
    for email in ("admin@agency.example", "gus@globex.example"):
        with agency.connection(login, agency.user(email)) as connection:
            for table in PROTECTED:
                assert rows(connection, table) == agency.rows_as_owner(table, "Acme")


def test_the_agencys_bi_reads_the_twelve_tables_but_no_password_hash(agency: Agency) -> None:
    with agency.connection("agency_bi") as connection:
        for table in set(TWELVE) - {"users"}:
            count = connection.execute(
                sql.SQL("select count(*) from {}").format(sql.Identifier("media", table))
            ).fetchone()
            assert count == tuple(agency.product.query(f"select count(*) from media.{table}")[0].values())
            assert count is not None and count[0] > 0
        found = connection.execute("select email, role, database_login from media.users").fetchall()
        assert ("ann@acme.example", "client", "acme_bi") in found
        for leak in ("password_hash", "*", "users"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("select {} from media.users").format(sql.SQL(leak)))


def test_the_portal_reads_only_users_that_its_user_may_see_and_no_password_hash(agency: Agency) -> None:
    emails = "select email from media.users order by email"
    with agency.connection("portal") as connection:
        assert connection.execute(emails).fetchall() == []
    with agency.connection("portal", agency.user("ann@acme.example")) as connection:
        assert connection.execute(emails).fetchall() == [("ann@acme.example",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select password_hash from media.users")
    with agency.connection("portal", agency.user("admin@agency.example")) as connection:
        assert len(connection.execute(emails).fetchall()) == 8


def test_tables_without_a_grant_give_an_error(agency: Agency) -> None:
    with agency.connection("outsider", agency.user("admin@agency.example")) as connection:
        for table in TWELVE:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rows(connection, table)
    for login in ("acme_bi", "globex_bi"):
        with agency.connection(login) as connection:
            for table in set(TWELVE) - set(PROTECTED):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    rows(connection, table)


def test_the_builder_and_the_loader_see_every_row(agency: Agency) -> None:
    with agency.connection("building") as connection:
        for table in PROTECTED:
            assert rows(connection, table) == agency.rows_as_owner(table)
    with agency.connection("loading") as connection:
        assert rows(connection, "clients") == agency.rows_as_owner("clients")


def test_a_pooled_connection_does_not_keep_its_user_after_a_transaction(agency: Agency) -> None:
    ann, gus = agency.user("ann@acme.example"), agency.user("gus@globex.example")
    with agency.connection("portal") as connection:
        for user, client in [(ann, "Acme"), (gus, "Globex"), (ann, "Acme")]:
            with connection.transaction():
                connection.execute("select set_config('app.current_user_id', %s, true)", [user])
                assert rows(connection, "daily_metrics") == agency.rows_as_owner("daily_metrics", client)
            assert connection.execute("select current_setting('app.current_user_id')").fetchone() == ("",)
            assert rows(connection, "daily_metrics") == []


def test_the_portal_has_no_user_after_a_rollback_to_a_savepoint(agency: Agency) -> None:
    ann = agency.user("ann@acme.example")
    with agency.connection("portal") as connection, connection.transaction():
        with connection.transaction(force_rollback=True):
            connection.execute("select set_config('app.current_user_id', %s, true)", [ann])
            assert rows(connection, "campaigns") == agency.rows_as_owner("campaigns", "Acme")
        assert rows(connection, "campaigns") == []


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
def test_a_prepared_statement_uses_the_current_user_each_time(agency: Agency, mode: str) -> None:
    ann, gus = agency.user("ann@acme.example"), agency.user("gus@globex.example")
    query = "select name from media.campaigns order by name"
    with agency.connection("portal") as connection:
        connection.execute(sql.SQL("set plan_cache_mode = {}").format(sql.Literal(mode)))
        for _ in range(7):
            for user, client in [(ann, "Acme"), (gus, "Globex")]:
                connection.execute("select set_config('app.current_user_id', %s, false)", [user])
                found = connection.execute(query, prepare=True).fetchall()
                assert found == [(f"{client} secret",), ("Spring",)]


def test_a_prepared_statement_respects_a_changed_role(agency: Agency) -> None:
    with agency.server.connect("agency") as connection:
        connection.execute("prepare everything as select name from media.campaigns")
        assert len(connection.execute("execute everything").fetchall()) == 6
        connection.execute("set role media_client")
        assert connection.execute("execute everything").fetchall() == []


def test_disabling_a_client_affects_open_sessions_immediately(agency: Agency) -> None:
    with agency.connection("globex_bi") as connection:
        assert rows(connection, "campaigns")
        agency.product.run("clients", "disable", "Globex")
        try:
            assert [rows(connection, table) for table in PROTECTED] == [[]] * len(PROTECTED)
        finally:
            agency.product.run("clients", "enable", "Globex")
        assert rows(connection, "campaigns")


@pytest.mark.parametrize("mart", MARTS)
def test_the_user_is_identified_once_per_query(agency: Agency, mart: str) -> None:
    with agency.connection("acme_bi") as connection:
        plan = connection.execute(
            sql.SQL("explain (verbose, costs off) select * from {}").format(sql.Identifier("media", mart))
        ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert (
        text.count("first_visible_client()") == text.count("InitPlan 1") - text.count("(InitPlan 1)") == 1
    ), text
