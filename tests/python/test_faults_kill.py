"""SIGKILL at chosen points of load, transform and the nightly flow; the next load and build repair it all.

The test holds a lock, so that the command blocks at the statement where it is to be killed.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import S3
from faults import (
    BLOCKED,
    RunningCommand,
    Scenario,
    copied_scenario,
    holding,
    rows,
    wait_for,
    wait_for_sessions_to_end,
)
from product import Product

from loader.database.server import Server

OBJECT_LOCK = "insert into media_ops.objects_loading values ('drops', 'a/1.csv')"
NEW_RUN = "select id from media.ingestion_logs where object_key = 'a/1.csv' for update"


def lock_table(name: str) -> str:
    return f"lock table {name} in share mode"


@pytest.fixture
def scenario(server: Server, s3: S3, tmp_path: Path) -> Iterator[Scenario]:
    with copied_scenario(server, s3, tmp_path) as opened:
        yield opened


def test_a_killed_loader_leaves_a_correct_record_and_the_next_load_succeeds(scenario: Scenario) -> None:
    """Killed before the run is recorded, before and after COPY, and before the commit."""
    product = scenario.product
    scenario.put("a/1.csv", rows(3000, "Summer"), 2)
    with holding(product, OBJECT_LOCK) as session:
        command = RunningCommand(product, "load")
        command.wait_until_blocked(session)
        command.kill()
    wait_for_sessions_to_end(product)
    scenario.expect_failed_load(reached=[])

    for table in ("media.staging_media_raw", "media_ops.run_days", "media_ops.rejected_rows"):
        with holding(product, lock_table(table)) as held:
            command = RunningCommand(product, "load")
            command.wait_until_blocked(held)
            status = json.loads(product.run("status", "--json").stdout)
            assert status["runs"][0]["status"] == "running"
            command.kill()
        wait_for_sessions_to_end(product)
        scenario.expect_failed_load("a/1.csv")
        assert json.loads(product.run("status", "--json").stdout)["runs"][0]["status"] == "failed"

    with holding(product, lock_table("media_ops.run_days")) as held:
        command = RunningCommand(product, "load")
        command.wait_until_blocked(held)
        with holding(product, NEW_RUN) as last:
            held.rollback()
            command.wait_until_blocked(
                last
            )  # all rows are written; it is blocked when marking the run as successful
            command.kill()
    wait_for_sessions_to_end(product)
    scenario.expect_failed_load("a/1.csv")
    assert scenario.runs()[1:] == [("failed", "interrupted", "outside")] * 4
    assert len(product.query("select 1 from media.staging_media_raw")) == 20
    scenario.load_and_build()


def wait_for_unblocking(product: Product, pid: int) -> None:
    wait_for("the end of the statement", lambda: not product.query(BLOCKED, pid)[0]["n"])


def test_the_statement_of_a_killed_or_interrupted_command_ends_with_it(scenario: Scenario) -> None:
    """The statement waits for a lock that the test holds until it has ended."""
    product = scenario.product
    scenario.put("a/1.csv", rows(30, "Summer"), 2)
    for command, table in (("load", "media.staging_media_raw"), ("transform", "media_ops.days_built")):
        if command == "transform":
            product.load()
            scenario.expect_load()
        with holding(product, f"lock table {table} in access exclusive mode") as held:
            running = RunningCommand(product, command)
            running.wait_until_blocked(held)
            running.kill()
            wait_for_unblocking(product, held.info.backend_pid)
        if command == "load":
            wait_for_sessions_to_end(product)
            scenario.expect_failed_load("a/1.csv")
        with holding(product, f"lock table {table} in access exclusive mode") as held:
            running = RunningCommand(product, command)
            running.wait_until_blocked(held)
            running.process.send_signal(signal.SIGINT)
            out, err = running.process.communicate()
            assert (running.process.returncode, err) == (1, "interrupted\n"), out
            wait_for_unblocking(product, held.info.backend_pid)
        if command == "load":
            wait_for_sessions_to_end(product)
            scenario.expect_failed_load("a/1.csv")
    scenario.load_and_build()


def test_a_build_killed_between_two_models_is_repaired_by_the_next_one(scenario: Scenario) -> None:
    """A build is killed when it reaches a table; the next one must complete the work."""
    for hour, table in enumerate(
        (
            "media_models.int_days_to_rebuild",  # before the work list is frozen
            "media_ops.days_built",  # after the work list is written, before the days are marked as not built
            "media_models.int_names_staged",
            "media.creatives",  # between two dimensions
            "media.daily_metrics",
            "media.monthly_summaries",
        ),
        start=2,
    ):
        scenario.put("a/1.csv", rows(30 + hour, f"Summer {hour}"), 2 * hour)
        scenario.put("a/0.csv", rows(10 + hour), 2 * hour + 1)
        scenario.product.load()
        scenario.expect_load()
        with holding(scenario.product, lock_table(table)) as held:
            command = RunningCommand(scenario.product, "transform")
            command.wait_until_blocked(held)
            command.kill()
        wait_for_sessions_to_end(scenario.product)
        scenario.load_and_build()


def test_a_build_killed_before_it_is_recorded_is_repeated(scenario: Scenario) -> None:
    """The CPM is set back, so that only the cleared fingerprints tell the next build about the days."""
    product = scenario.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media.monthly_summaries")) as marts:
        command = RunningCommand(product, "transform")
        command.wait_until_blocked(marts)
        with holding(product, "lock table media.clients in access exclusive mode") as tests:
            marts.rollback()
            command.wait_until_blocked(tests)
            command.kill()
    wait_for_sessions_to_end(product)
    waiting = product.query("select count(*) as n from media_ops.days_built where fingerprint is null")
    assert waiting[0]["n"] == 5
    product.run("cpm", "set", "Acme", "2.5")
    scenario.load_and_build()


def test_a_build_killed_while_it_is_recorded_is_recorded_or_repeated(scenario: Scenario) -> None:
    """PostgreSQL has received the statement, so it can commit it although the client is dead."""
    product = scenario.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media.monthly_summaries")) as marts:
        command = RunningCommand(product, "transform")
        command.wait_until_blocked(marts)
        with holding(product, lock_table("media_ops.days_built")) as last:
            marts.rollback()
            command.wait_until_blocked(last)
            assert is_recording(scenario)
            command.kill()
    wait_for_sessions_to_end(product)
    product.run("cpm", "set", "Acme", "2.5")
    scenario.load_and_build()


def is_recording(scenario: Scenario) -> bool:
    """Returns whether a session that holds the lock on the marts waits to record what was built."""
    return bool(
        scenario.product.query(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%own_list%'"
            " and pid in (select pid from pg_locks"
            " where relation = 'media_ops.marts_lock'::regclass and granted)"
        )
    )


def test_a_nightly_flow_killed_in_its_load_or_build_is_completed_by_the_next_one(
    scenario: Scenario, tmp_path_factory: pytest.TempPathFactory
) -> None:
    product = scenario.product
    prefect = {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    }
    scenario.put("a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media_ops.run_days")) as held:
        command = RunningCommand(product, "nightly", env=prefect)
        command.wait_until_blocked(held)
        command.kill()
    wait_for_sessions_to_end(product)
    scenario.expect_failed_load("a/1.csv")
    with holding(product, lock_table("media.daily_metrics")) as held:
        command = RunningCommand(product, "nightly", env=prefect)
        command.wait_until_blocked(held)
        scenario.expect_load()
        second = RunningCommand(product, "nightly", env=prefect)
        assert "another nightly flow is still running" in second.finish(1)
        command.kill()
    wait_for_sessions_to_end(product)
    RunningCommand(product, "nightly", env=prefect).finish()
    scenario.expect_load()
    scenario.check_all()
