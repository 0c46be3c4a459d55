"""Access rules hold during and after every dbt command and `media migrate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from access import PROTECTED, Agency, rows
from access_catalogue import differences
from psycopg import sql

SHORT_LOCK_TIMEOUT = "-c lock_timeout=500ms"
FOREIGN_KEYS = """
select conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) from pg_constraint
where contype = 'f' and connamespace = 'media'::regnamespace
"""


def state(agency: Agency) -> object:
    """Returns what must not change: catalogue differences (none), foreign keys, and a client's rows."""
    with agency.connection("agency_owner") as connection:
        wrong = differences(connection)
        keys = sorted(connection.execute(FOREIGN_KEYS).fetchall())
    with agency.connection("acme_bi") as connection:
        return wrong, keys, [rows(connection, table) for table in PROTECTED]


@contextmanager
def reading_everything(agency: Agency) -> Iterator[None]:
    """Holds read locks on every table for the block, as a dashboard with an open transaction does."""
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
def test_a_dbt_command_keeps_access_and_waits_for_no_reader(agency: Agency, command: str) -> None:
    before = state(agency)
    assert isinstance(before, tuple) and before[0] == [] and len(before[1]) == 19
    with reading_everything(agency):
        done = agency.dbt(*command.split(), options=SHORT_LOCK_TIMEOUT)
    assert done.returncode == 0, done.stdout
    assert state(agency) == before


def test_a_mart_is_never_visible_without_its_policies(agency: Agency) -> None:
    """The table and its policies are created in one transaction: without policies, there is no table."""
    protect = "function media_ops.protect_by_client(regclass, name)"
    with agency.connection("agency_owner") as connection:
        connection.execute(f"alter {protect} rename to moved_away".encode())
        connection.execute("alter table media.weekly_summaries rename to moved_away")
        connection.execute("alter index media.weekly_summaries_pkey rename to moved_away_pkey")
        try:
            done = agency.dbt("run", "-s", "weekly_summaries")
            assert "protect_by_client" in done.stdout and done.returncode == 1
            assert connection.execute("select to_regclass('media.weekly_summaries')").fetchone() == (None,)
        finally:
            connection.execute("drop table if exists media.weekly_summaries")
            connection.execute("alter table media.moved_away rename to weekly_summaries")
            connection.execute("alter index media.moved_away_pkey rename to weekly_summaries_pkey")
            connection.execute("alter function media_ops.moved_away rename to protect_by_client")
    agency.product.run("migrate")
    assert state(agency)[0] == []  # type: ignore[index]


MISTAKES = [
    "alter policy rows_of_media_client on media.campaigns using (true)",
    "alter policy rows_of_media_portal on media.campaigns to public",
    "drop policy rows_of_media_client on media.campaigns",
    "create policy old_rule on media.campaigns for select to media_client using (true)",
    "alter table media.campaigns disable row level security",
    "revoke select on media.campaigns from media_client",
]


def test_migrate_repairs_policies_and_grants(agency: Agency) -> None:
    for statement in MISTAKES:
        with agency.connection("agency_owner") as connection:
            connection.execute(statement.encode())
        assert "migrated" in agency.product.run("migrate").stdout, statement
        assert state(agency)[0] == [], statement  # type: ignore[index]
        assert "nothing to change" in agency.product.run("migrate").stdout


def test_dbt_repairs_policies(agency: Agency) -> None:
    with agency.connection("agency_owner") as connection:
        for statement in MISTAKES[:2] + MISTAKES[3:5]:
            connection.execute(statement.encode())
    assert agency.dbt("run", "-s", "campaigns").returncode == 0
    assert state(agency)[0] == []  # type: ignore[index]


def test_migrate_does_not_wait_for_readers_if_nothing_changed(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.database.migrate.LOCK_TIMEOUT", "500ms")
    with reading_everything(agency):
        assert "nothing to change" in agency.product.run("migrate").stdout


def test_dbt_tests_see_the_rows_of_all_clients(agency: Agency) -> None:
    """The tests that compare layers find one wrong figure of one client, by its day, week and month."""
    change = "update media.daily_metrics set impressions = impressions + {} where id = %s"
    (changed,) = agency.product.query(
        "select daily_metrics.id from media.daily_metrics join media.clients on clients.id = client_id"
        " where name = 'Globex' order by daily_metrics.id limit 1"
    )
    layers = ("live_staging_and_daily_metrics_agree", "test_name:sums_of_daily_metrics")
    reconcile = ("test", "-s", *layers, "--vars", "reconcile: all")
    with agency.connection("building") as connection:
        connection.execute(sql.SQL(change).format(sql.Literal(1)), [changed["id"]])
    try:
        done = agency.dbt(*reconcile)
        assert done.returncode == 1 and done.stdout.count("FAIL 1 ") == 3, done.stdout
    finally:
        with agency.connection("building") as connection:
            connection.execute(sql.SQL(change).format(sql.Literal(-1)), [changed["id"]])
    assert agency.dbt(*reconcile).returncode == 0


def test_a_builder_gets_an_error_instead_of_filtered_rows(agency: Agency) -> None:
    """With row_security off, a query that a policy would filter fails; owned tables are not filtered."""
    with agency.connection("building") as connection:
        connection.execute("set row_security = off")
        assert rows(connection, "daily_metrics") == agency.rows_as_owner("daily_metrics")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(connection, "clients")
