"""The commands run by ordinary logins: what each may do, and who owns what they create."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from access import Agency, deliver, password_set
from access_catalogue import differences
from product import Product

from loader.database.connection import Database
from loader.nightly.outcome import only_nightly_flow
from loader.nightly.status import days_waiting

pytestmark = pytest.mark.any_postgres
_numbers = count(1)


@pytest.fixture
def second(agency: Agency) -> Iterator[Product]:
    """Yields the commands on a second, empty database of the same owner."""
    name = f"second_{next(_numbers)}"
    with agency.server.connect("postgres") as connection:
        connection.execute(f"create database {name} owner agency_owner".encode())
        yield replace(
            agency.product,
            database=Database("another database", {**agency.product.database.env, "PGDATABASE": name}),
        )
        connection.execute(f"drop database {name} with (force)".encode())


def by(product: Product, login: str) -> Product:
    return replace(product, database=Database(login, {**product.database.env, "PGUSER": login}))


def test_the_owner_can_run_everything(agency: Agency) -> None:
    owner = agency.product
    deliver(agency, "2026-01-06")
    with only_nightly_flow(owner.database):
        assert "1 object, 12 rows loaded" in owner.run("load").stdout
        assert "1 day" in owner.run("cpm", "set", "Acme", "9", "--from", "2026-01-06").stdout
        with agency.connection("agency_owner") as connection:
            waiting = days_waiting(connection)  # an earlier test can have left more than these three
        assert "0 failed" in owner.run("transform").stdout
        (rebuilt,) = owner.query("select count(*) as n from media_models.int_days_to_rebuild")
        assert rebuilt["n"] == waiting >= 3
    assert "days waiting for `media transform`: 0" in owner.run("status").stdout
    owner.run("rejects")
    assert len(agency.rows_as_owner("daily_metrics", "Acme")) == 8


def test_the_loader_and_the_builder_can_only_run_their_own_commands(agency: Agency) -> None:
    loading, building = agency.by("loading"), agency.by("building")
    loading.run("load")
    for product in (loading, building):
        assert "clients without a CPM: none" in product.run("status").stdout
    loading.run("rejects")
    for product, command in [
        (loading, "transform"),
        (building, "load"),
        (building, "retract 1234"),
        *((product, command) for product in (loading, building) for command in OWNER_COMMANDS),
    ]:
        done = product.run(*command.split(), expect={1})
        assert done.stderr.count("\n") == 1, done.stderr
        assert "permission denied" in done.stderr or "may not act as" in done.stderr


OWNER_COMMANDS = (
    "clients add Umbrella",
    "clients disable Acme",
    "cpm set Acme 1",
    "cpm remove Acme",
    "users disable ann@acme.example",
)


@pytest.mark.parametrize("login", ["agency_bi", "acme_bi", "portal", "outsider"])
def test_bi_logins_cannot_run_commands(agency: Agency, login: str) -> None:
    for command in (*OWNER_COMMANDS, "load", "transform", "status", "migrate"):
        done = agency.by(login).run(*command.split(), expect={1})
        assert done.stderr.count("\n") == 1, done.stderr


def test_tables_created_by_a_superusers_migration_belong_to_the_databases_owner(
    agency: Agency, second: Product
) -> None:
    by(second, "media").run("migrate")
    with agency.server.connect(second.database.env["PGDATABASE"]) as connection:
        owners = connection.execute(
            """
            select relowner::regrole::text from pg_class where relnamespace::regnamespace::text like 'media%'
            union
            select proowner::regrole::text from pg_proc where pronamespace::regnamespace::text like 'media%'
            """
        ).fetchall()
    assert owners == [("agency_owner",)]
    assert "nothing to change" in second.run("migrate").stdout
    assert "nothing to change" in by(second, "media").run("migrate").stdout
    second.run("clients", "add", "Acme")
    second.run("cpm", "set", "Acme", "2")


def test_a_member_of_the_owner_migrates_as_the_owner(agency: Agency, second: Product) -> None:
    with agency.server.connect("postgres") as connection:
        connection.execute("create role deploying login in role agency_owner")
        by(second, "deploying").run("migrate")
        assert "nothing to change" in second.run("migrate").stdout
        connection.execute("drop role deploying")  # fails if the role owns anything


def test_an_owner_without_the_needed_roles_gets_an_error_that_says_what_is_missing(
    agency: Agency, second: Product
) -> None:
    with agency.server.connect("postgres") as connection:
        connection.execute("create role newcomer login")
        connection.execute(f"alter database {second.database.env['PGDATABASE']} owner to newcomer".encode())
    newcomer = by(second, "newcomer")
    output = newcomer.run("migrate", expect={1}).stderr
    assert "migrate as newcomer, who needs createrole" in output and output.count("\n") == 1
    with agency.server.connect("postgres") as connection:
        connection.execute("grant media_loader, media_transformer to newcomer")
    newcomer.run("migrate")
    newcomer.run("clients", "add", "Acme")
    with password_set("x"):
        output = newcomer.run(
            "users", "add", "a@b.example", "--client", "Acme", "--login", "b", expect={1}
        ).stderr
    assert "may not create database logins" in output
    with agency.server.connect(second.database.env["PGDATABASE"]) as connection:
        connection.execute("drop owned by newcomer cascade")
    with agency.server.connect("postgres") as connection:
        connection.execute(f"alter database {second.database.env['PGDATABASE']} owner to media".encode())
        connection.execute("drop owned by newcomer")
        connection.execute("drop role newcomer")


def test_migrate_closes_an_old_databases_public_schema(agency: Agency, second: Product) -> None:
    """Before PostgreSQL 15 everyone could create functions there, and an upgraded database keeps that."""
    with agency.server.connect(second.database.env["PGDATABASE"]) as connection:
        connection.execute("grant create on schema public to public")
        connection.execute("alter schema public owner to media")
        output = second.run("migrate", expect={1}).stderr
        assert "revoke create on schema public from public" in output and output.count("\n") == 1
        connection.execute("alter schema public owner to pg_database_owner")
        second.run("migrate")
        assert connection.execute(
            "select has_schema_privilege('outsider', 'public', 'create')"
        ).fetchone() == (False,)


def test_migrate_revokes_a_grant_on_all_columns_of_users(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        connection.execute("grant select on media.users to media_reader, media_portal")
        agency.product.run("migrate")
        assert differences(connection) == []
