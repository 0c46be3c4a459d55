"""`media users`: adding, listing and disabling users; their passwords and database logins."""

from __future__ import annotations

import subprocess
from itertools import count
from typing import Any, Literal

import argon2
import psycopg
import pytest
from access import PASSWORD, PROTECTED, Agency, password_set, rows
from conftest import MEDIA

from loader.agency import users
from loader.agency.users import verify_password
from loader.project import CHECKOUT

pytestmark = pytest.mark.any_postgres
_numbers = count(1)


def new_email(host: str = "acme.example") -> str:
    return f"new{next(_numbers)}@{host}"


def log_in(agency: Agency, login: str, password: str) -> psycopg.Connection:
    """Connects over TCP, where a password is required."""
    port, name = agency.server.port, agency.product.database.env["PGDATABASE"]
    return psycopg.connect(host="127.0.0.1", port=port, dbname=name, user=login, password=password)


def test_a_new_login_sees_its_clients_rows(agency: Agency) -> None:
    email = new_email()
    login = f"Zoë's {email}"
    with password_set("pass wörd"):
        output = agency.product.run("users", "add", email.upper(), "--client", "acme", "--login", login)
    assert "pass" not in output.stdout + output.stderr
    with log_in(agency, login, "pass wörd") as connection:
        for table in PROTECTED:
            assert rows(connection, table) == agency.rows_as_owner(table, "Acme")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        log_in(agency, login, "another")
    (row,) = agency.product.query("select * from media.users where email = %s", email)
    assert row["password_hash"].startswith("$argon2id$")
    assert (row["role"], row["database_login"]) == ("client", login)
    (role,) = agency.product.query(
        "select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication as privileged,"
        " array(select roleid::regrole::text from pg_auth_members where member = pg_roles.oid) as groups"
        " from pg_roles where rolname = %s",
        login,
    )
    assert role == {"privileged": False, "groups": ["media_client"]}
    agency.product.run("users", "disable", email)
    with log_in(agency, login, "pass wörd") as connection:
        assert [rows(connection, table) for table in PROTECTED] == [[]] * len(PROTECTED)


def test_the_password_is_prompted_for_twice(agency: Agency) -> None:
    def add(typed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MEDIA, "users", "add", email, "--client", "Acme"],
            env=agency.product.env,
            cwd=CHECKOUT,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    email = new_email()
    for typed in ("", "secret\n", "secret\nanother\n"):
        done = add(typed)
        assert done.returncode == 1 and "set MEDIA_PASSWORD" in done.stderr
        assert "secret" not in done.stdout + done.stderr and done.stderr.count("\n") == 1
    assert add("secret\nsecret\n").returncode == 0
    with agency.connection("portal") as connection:
        assert verify_password(connection, email, "secret") is not None


def test_the_password_cannot_be_an_argument(agency: Agency) -> None:
    with password_set(PASSWORD):
        for option in ("--password", "-p"):
            agency.product.run("users", "add", new_email(), "--admin", option, "x", expect={2})
        agency.product.run("users", "add", new_email(), expect={2})
        agency.product.run("users", "add", new_email(), "--admin", "--client", "Acme", expect={2})
        agency.product.run("users", "add", new_email(), "--admin", "--login", "x", expect={2})


def test_only_enabled_users_with_the_right_password_can_sign_in(agency: Agency) -> None:
    """The portal's login checks this before it acts for a user."""
    with agency.connection("portal") as connection:
        ann, admin = agency.user("ann@acme.example"), agency.user("admin@agency.example")
        assert str(verify_password(connection, " Ann@ACME.example", PASSWORD)) == ann
        assert str(verify_password(connection, "admin@agency.example", PASSWORD)) == admin
        for email, password in [
            ("ann@acme.example", "other"),
            ("ann@acme.example", ""),
            ("gone@acme.example", PASSWORD),
            ("ida@initech.example", PASSWORD),  # her client is disabled
            ("nobody@acme.example", PASSWORD),
            ("ann@acme.example\0", "other"),
            ("%", PASSWORD),
            ("", PASSWORD),
        ]:
            assert verify_password(connection, email, password) is None, (email, password)


@pytest.mark.parametrize("email", ["ann@acme.example", "nobody@acme.example", "gone@acme.example"])
def test_signing_in_computes_one_hash_for_any_address(
    agency: Agency, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    """So its time does not tell whether an address is known."""
    hashed: list[str] = []

    class Counting(argon2.PasswordHasher):
        def hash(self, *given: Any, **named: Any) -> str:
            hashed.append("hash")
            return super().hash(*given, **named)

        def verify(self, *given: Any) -> Literal[True]:
            hashed.append("verify")
            return super().verify(*given)

    monkeypatch.setattr(users, "HASHER", Counting())
    with agency.connection("portal") as connection:
        assert verify_password(connection, email, "wrong") is None
    assert len(hashed) == 1


def test_no_password_reaches_a_log(agency: Agency) -> None:
    """The server logs every statement meanwhile."""
    with agency.server.connect("agency") as connection:
        connection.execute("alter system set log_statement = 'all'")
        connection.execute("select pg_reload_conf()")
        try:
            with password_set("pass-word-in-clear"):
                added = agency.product.run(
                    "users", "add", new_email(), "--client", "Acme", "--login", "logged_bi"
                )
            with agency.connection("portal") as portal:
                verify_password(portal, "ann@acme.example", "pass-word-in-clear")
        finally:
            connection.execute("alter system reset log_statement")
            connection.execute("select pg_reload_conf()")
    log = (agency.directory / "cluster" / "run" / "postgres.log").read_text()
    assert "create role" in log.lower() or "logged_bi" in log
    assert "pass-word-in-clear" not in log + added.stdout + added.stderr
    agency.product.query("update media.users set database_login = null where database_login = 'logged_bi'")
    agency.product.query("drop role logged_bi")


def test_a_user_that_cannot_be_added_is_reported_in_one_sentence(agency: Agency) -> None:
    with password_set(PASSWORD):
        for arguments, reason in [
            (("ANN@acme.example", "--admin"), "user ann@acme.example already exists"),
            (("no address", "--admin"), "is not an email address"),
            ((new_email(), "--client", "Nobody"), "there is no client Nobody"),
            ((new_email(), "--client", "Acme", "--login", "acme_bi"), "database role acme_bi already exists"),
            (
                (new_email(), "--client", "Acme", "--login", "media_reader"),
                "database role media_reader already exists",
            ),
            ((new_email(), "--client", "Acme", "--login", "pg_mine"), "PostgreSQL reserves the name pg_mine"),
            (
                (new_email(), "--client", "Acme", "--login", "x" * 64),
                "is not a valid name for a database login",
            ),
        ]:
            output = agency.product.run("users", "add", *arguments, expect={1}).stderr
            assert reason in output and output.count("\n") == 1, output
    assert agency.product.query("select from media.users where email <> lower(email)") == []


def test_a_user_and_its_login_are_added_together_or_not_at_all(agency: Agency) -> None:
    email = new_email()
    with password_set(PASSWORD):
        agency.product.run("users", "add", email, "--client", "Acme", "--login", "acme_bi", expect={1})
        assert agency.product.query("select from media.users where email = %s", email) == []
        agency.product.run(
            "users", "add", "ann@acme.example", "--client", "Acme", "--login", "left", expect={1}
        )
    assert agency.product.query("select from pg_roles where rolname = 'left'") == []


def test_a_login_has_limits_and_the_time_zone_utc(agency: Agency) -> None:
    """With a login of its own: acme_bi may have changed its settings."""
    with password_set(PASSWORD):
        agency.product.run("users", "add", new_email(), "--client", "Acme", "--login", "limited_bi")
    try:
        found = agency.product.query(
            "select rolconnlimit, rolconfig from pg_roles where rolname = 'limited_bi'"
        )
        assert found == [{"rolconnlimit": 10, "rolconfig": ["statement_timeout=2min", "TimeZone=UTC"]}]
    finally:
        agency.product.query(
            "update media.users set database_login = null where database_login = 'limited_bi'"
        )
        agency.product.query("drop role limited_bi")


def test_users_are_listed_without_their_hashes(agency: Agency) -> None:
    output = agency.product.run("users", "list").stdout
    assert "ann@acme.example\tclient\tAcme\tacme_bi\t\n" in output
    assert "admin@agency.example\tadmin\t\tadmin_bi\t\n" in output
    assert "argon2" not in output


def test_disabling_a_user_twice_succeeds_and_an_unknown_user_fails(agency: Agency) -> None:
    output = agency.product.run("users", "disable", "GONE@acme.example").stdout
    assert "is already disabled" in output
    output = agency.product.run("users", "disable", "x@y.example", expect={1}).stderr
    assert "there is no user x@y.example" in output
