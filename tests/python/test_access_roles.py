"""The commands by ordinary logins: whose work is whose, and who owns what it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import psycopg
import pytest
from access import Agency, deliver, secret
from access_catalogue import differences
from product import Product
from psycopg.types.json import Json

from loader.database.connection import Database
from loader.nightly.night import days_recomputed, only_night
from loader.nightly.status import days_waiting
from loader.nightly.transform import NodeResult

pytestmark = pytest.mark.any_postgres
_numbers = count(1)


@pytest.fixture
def second(agency: Agency) -> Iterator[Product]:
    """Give the commands on another, empty database of the same owner."""
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


def test_the_owner_alone_can_do_the_whole_night(agency: Agency) -> None:
    owner = agency.product
    deliver(agency, "2026-01-06")
    with only_night(owner.database):
        assert "1 objects, 12 rows loaded" in owner.run("load").stdout
        assert "1 day" in owner.run("cpm", "set", "Acme", "9", "--from", "2026-01-06").stdout
        with agency.connection("agency_owner") as connection:
            waiting = days_waiting(connection)  # more than these three where an earlier test left some
        assert "0 failed" in owner.run("transform").stdout
        frozen = NodeResult("int_days_to_rebuild", "success", "", 0.0, None)
        assert days_recomputed(owner.database, [frozen]) == waiting >= 3
    assert "days waiting for media transform: 0" in owner.run("status").stdout
    owner.run("rejects")
    assert len(agency.truth("daily_metrics", "Acme")) == 8


def test_the_loader_and_the_builder_do_their_own_work_and_no_other(agency: Agency) -> None:
    loading, building = agency.by("loading"), agency.by("building")
    loading.run("load")
    for product in (loading, building):
        assert "clients without a CPM: none" in product.run("status").stdout
    loading.run("rejects")
    for product, command in [
        (loading, "transform"),
        (building, "load"),
        (building, "retract 1234"),
        *((product, command) for product in (loading, building) for command in OWNERS),
    ]:
        done = product.run(*command.split(), expect={1})
        assert done.stderr.count("\n") == 1, done.stderr
        assert "permission denied" in done.stderr or "may not act as" in done.stderr


OWNERS = (
    "clients add Umbrella",
    "clients disable Acme",
    "cpm set Acme 1",
    "cpm remove Acme",
    "users disable ann@acme.example",
)


@pytest.mark.parametrize(
    ("mart", "column"),
    [
        ("users", "uuid"),
        ("weekly", "uuid"),
        *(
            ("weekly_summaries", column)
            for column in (
                *("media_models.kind", "kind", "uuid default media_models.mine()", "uuid primary key"),
                *(
                    "uuid generated always as (media_models.mine()) stored",
                    "uuid check (true)",
                    "uuid not null,",
                ),
                *("uuid); create table media.mine (id uuid", "uuid[]", "nothing", "uuid collate mine", ""),
            )
        ),
    ],
)
def test_a_mart_is_begun_with_plain_columns_or_not_at_all(agency: Agency, mart: str, column: str) -> None:
    with agency.connection("building") as connection, connection.transaction(force_rollback=True):
        connection.execute("set local role media_transformer")
        connection.execute("create type media_models.kind as enum ('a')")
        connection.execute("set local search_path = media_models")
        connection.execute("drop table media.weekly_summaries")
        with pytest.raises((psycopg.errors.RaiseException, psycopg.errors.SyntaxError)):
            connection.execute("select media_ops.begin_mart(%s, %s)", [mart, Json({"client_id": column})])


@pytest.mark.parametrize(
    "attempt",
    [
        "create index on media.weekly_summaries (media_models.mine(client_id))",
        "create policy mine on media.weekly_summaries using (true)",
        "alter table media.weekly_summaries force row level security",
        "alter table media.weekly_summaries add check (media_models.mine(client_id) is null)",
        "create rule mine as on insert to media.weekly_summaries do also select 1",
        "create table media.mine () inherits (media.weekly_summaries)",
        "create statistics media.mine on client_id, id from media.weekly_summaries",
        "create trigger mine after insert on media.weekly_summaries execute function media_ops.auto_update()",
    ],
)
def test_nobody_has_a_hand_in_a_mart_before_it_is_handed_over(agency: Agency, attempt: str) -> None:
    columns = Json({"id": "uuid not null", "client_id": "uuid"})
    with agency.connection("building") as connection, connection.transaction(force_rollback=True):
        connection.execute("set local role media_transformer")
        connection.execute(
            "create function media_models.mine(uuid) returns uuid language sql immutable as 'select $1'"
        )
        connection.execute("drop table media.weekly_summaries")
        connection.execute("select media_ops.begin_mart('weekly_summaries', %s)", [columns])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(attempt.encode())
        connection.execute("select media_ops.hand_over_mart('weekly_summaries')")
        connection.execute("alter table media.weekly_summaries add primary key (id)")


@pytest.mark.parametrize(
    "table", ["users", "clients", "staging_media_raw", "daily_metrics", "nothing", "x.y"]
)
def test_nothing_else_is_handed_over(agency: Agency, table: str) -> None:
    with agency.connection("building") as connection:
        connection.execute("set role media_transformer")
        with pytest.raises(psycopg.errors.RaiseException):
            connection.execute("select media_ops.hand_over_mart(%s)", [table])


@pytest.mark.parametrize("login", ["agency_bi", "acme_bi", "portal", "outsider"])
def test_bi_logins_can_run_nothing(agency: Agency, login: str) -> None:
    for command in (*OWNERS, "load", "transform", "status", "migrate"):
        done = agency.by(login).run(*command.split(), expect={1})
        assert done.stderr.count("\n") == 1, done.stderr


def test_what_a_superuser_migrates_belongs_to_the_databases_owner(agency: Agency, second: Product) -> None:
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
        connection.execute("drop role deploying")  # which fails where it owns something


def test_who_lacks_the_roles_is_told_what_to_ask_for(agency: Agency, second: Product) -> None:
    with agency.server.connect("postgres") as connection:
        connection.execute("create role newcomer login")
        connection.execute(f"alter database {second.database.env['PGDATABASE']} owner to newcomer".encode())
    newcomer = by(second, "newcomer")
    said = newcomer.run("migrate", expect={1}).stderr
    assert "migrate as newcomer, who needs createrole" in said and said.count("\n") == 1
    with agency.server.connect("postgres") as connection:
        connection.execute("grant media_loader, media_transformer to newcomer")
    newcomer.run("migrate")
    newcomer.run("clients", "add", "Acme")
    with secret("x"):
        said = newcomer.run(
            "users", "add", "a@b.example", "--client", "Acme", "--login", "b", expect={1}
        ).stderr
    assert "may not create database logins" in said
    with agency.server.connect(second.database.env["PGDATABASE"]) as connection:
        connection.execute("drop owned by newcomer cascade")
    with agency.server.connect("postgres") as connection:
        connection.execute(f"alter database {second.database.env['PGDATABASE']} owner to media".encode())
        connection.execute("drop owned by newcomer")
        connection.execute("drop role newcomer")


def test_an_old_databases_public_schema_is_closed(agency: Agency, second: Product) -> None:
    """Before PostgreSQL 15 everyone could plant functions there, and an upgraded database keeps that."""
    with agency.server.connect(second.database.env["PGDATABASE"]) as connection:
        connection.execute("grant create on schema public to public")
        connection.execute("alter schema public owner to media")
        said = second.run("migrate", expect={1}).stderr
        assert "revoke create on schema public from public" in said and said.count("\n") == 1
        connection.execute("alter schema public owner to pg_database_owner")
        second.run("migrate")
        assert connection.execute(
            "select has_schema_privilege('outsider', 'public', 'create')"
        ).fetchone() == (False,)


def test_a_grant_of_all_of_users_does_not_outlive_the_next_migration(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        connection.execute("grant select on media.users to media_reader, media_portal")
        agency.product.run("migrate")
        assert differences(connection) == []
