"""Access after whatever dbt and `media migrate` do, and before they are done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from access import PROTECTED, Agency, rows
from access_catalogue import differences
from psycopg import sql

IMPATIENT = "-c lock_timeout=500ms"
FOREIGN_KEYS = """
select conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) from pg_constraint
where contype = 'f' and connamespace = 'media'::regnamespace
"""


def state(agency: Agency) -> object:
    """Return what must not change: what is wrong (nothing), the foreign keys, and what a client sees."""
    with agency.connection("agency_owner") as connection:
        wrong = differences(connection)
        keys = sorted(connection.execute(FOREIGN_KEYS).fetchall())
    with agency.connection("acme_bi") as connection:
        return wrong, keys, [rows(connection, table) for table in PROTECTED]


@contextmanager
def reading_everything(agency: Agency) -> Iterator[None]:
    """Have a client's dashboard hold every table open, as in a transaction that was left so."""
    with agency.connection("acme_bi") as reader, reader.transaction():
        for table in PROTECTED:
            rows(reader, table)
        yield


@pytest.mark.parametrize(
    "command",
    [
        "build",
        "build --full-refresh",
        "run -s campaigns --full-refresh",
        "run --empty",
        "seed --full-refresh",
    ],
)
def test_access_survives(agency: Agency, command: str) -> None:
    before = state(agency)
    assert isinstance(before, tuple) and before[0] == [] and len(before[1]) == 19
    with reading_everything(agency):  # and waits for no one: nothing of it changed
        done = agency.dbt(*command.split(), options=IMPATIENT)
    assert done.returncode == 0, done.stdout
    assert state(agency) == before


def test_no_mart_is_ever_visible_without_its_policies(agency: Agency) -> None:
    """If a table cannot be protected, there is none: both happen in one transaction."""
    protect = "function media_ops.protect_by_client(regclass, name)"
    with agency.connection("agency_owner") as connection:
        connection.execute(f"alter {protect} rename to mislaid".encode())
        connection.execute("alter table media.weekly_summaries rename to mislaid")
        connection.execute("alter index media.weekly_summaries_pkey rename to mislaid_pkey")
        try:
            done = agency.dbt("run", "-s", "weekly_summaries")
            assert "protect_by_client" in done.stdout and done.returncode == 1
            assert connection.execute("select to_regclass('media.weekly_summaries')").fetchone() == (None,)
        finally:
            connection.execute("drop table if exists media.weekly_summaries")
            connection.execute("alter table media.mislaid rename to weekly_summaries")
            connection.execute("alter index media.mislaid_pkey rename to weekly_summaries_pkey")
            connection.execute("alter function media_ops.mislaid rename to protect_by_client")
    agency.product.run("migrate")
    assert state(agency)[0] == []  # type: ignore[index]


WRONG = [
    "alter policy rows_of_media_client on media.campaigns using (true)",
    "alter policy rows_of_media_portal on media.campaigns to public",
    "drop policy rows_of_media_client on media.campaigns",
    "create policy old_rule on media.campaigns for select to media_client using (true)",
    "alter table media.campaigns disable row level security",
    "revoke select on media.campaigns from media_client",
]


def test_a_policy_that_differs_is_made_anew_by_migrate(agency: Agency) -> None:
    for statement in WRONG:
        with agency.connection("agency_owner") as connection:
            connection.execute(statement.encode())
        assert "migrated" in agency.product.run("migrate").stdout, statement
        assert state(agency)[0] == [], statement  # type: ignore[index]
        assert "nothing to change" in agency.product.run("migrate").stdout


def test_a_policy_that_differs_is_made_anew_by_dbt(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        for statement in WRONG[:2] + WRONG[3:5]:
            connection.execute(statement.encode())
    assert agency.dbt("run", "-s", "campaigns").returncode == 0
    assert state(agency)[0] == []  # type: ignore[index]


def test_migrating_waits_for_no_reader_when_nothing_changed(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.database.migrate.LOCK_TIMEOUT", "500ms")
    with reading_everything(agency):
        assert "nothing to change" in agency.product.run("migrate").stdout


def test_the_builders_own_tests_see_the_rows_of_all(agency: Agency) -> None:
    """One figure of one client is wrong: the tests that compare the layers find its day, week and month."""
    change = "update media.daily_metrics set impressions = impressions + {} where id = %s"
    (spoiled,) = agency.product.query(
        "select daily_metrics.id from media.daily_metrics join media.clients on clients.id = client_id"
        " where name = 'Globex' order by daily_metrics.id limit 1"
    )
    layers = ("live_staging_and_daily_metrics_agree", "test_name:sums_of_daily_metrics")
    reconcile = ("test", "-s", *layers, "--vars", "reconcile: all")
    with agency.connection("building") as connection:
        connection.execute(sql.SQL(change).format(sql.Literal(1)), [spoiled["id"]])
    try:
        done = agency.dbt(*reconcile)
        assert done.returncode == 1 and done.stdout.count("FAIL 1 ") == 3, done.stdout
    finally:
        with agency.connection("building") as connection:
            connection.execute(sql.SQL(change).format(sql.Literal(-1)), [spoiled["id"]])
    assert agency.dbt(*reconcile).returncode == 0


def test_a_builder_that_policies_would_filter_is_told(agency: Agency) -> None:
    """With row_security off what policies would filter fails; what the builder owns, they do not filter."""
    with agency.connection("building") as connection:
        connection.execute("set row_security = off")
        assert rows(connection, "daily_metrics") == agency.truth("daily_metrics")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(connection, "clients")
