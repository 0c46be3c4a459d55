"""Parallel builds, partial builds, and changes during a build: only days that were built are recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import S3
from faults import (
    MARTS_LOCK,
    RunningCommand,
    Scenario,
    copied_scenario,
    holding,
    rows,
    wait_for_sessions_to_end,
)

from loader.database.server import Server

RECORDING = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%own_list%'"


@pytest.fixture
def scenario(server: Server, s3: S3, tmp_path: Path) -> Iterator[Scenario]:
    with copied_scenario(server, s3, tmp_path) as opened:
        yield opened


def lock_table(name: str) -> str:
    return f"lock table {name} in share mode"


def deliver(scenario: Scenario, key: str, content: bytes, hour: int) -> None:
    scenario.put(key, content, hour)
    scenario.product.load()
    scenario.expect_load()


def test_two_parallel_builds_both_succeed(scenario: Scenario) -> None:
    """The second freezes a longer work list when the first has already created the names of its own."""
    product = scenario.product
    deliver(scenario, "a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media.creatives")) as held:
        first = RunningCommand(product, "build", dbt=True)
        first.wait_until_blocked(held)
        deliver(scenario, "a/2.csv", rows(30, "Autumn"), 3)
        other = replace(product, feeds_file=product.feeds_file.with_name("other.yml"))
        second = RunningCommand(other, "build", dbt=True)
        second.wait_until_behind_another_build()
    first.finish()
    second.finish()
    scenario.check_all()
    assert not product.query("select 1 from media_ops.days_built where fingerprint is null")


def test_summaries_are_built_in_parallel_and_a_second_build_waits_for_both(scenario: Scenario) -> None:
    product = scenario.product
    months = "select * from media.monthly_summaries order by client_id, month_start"
    before = product.query(months)
    deliver(scenario, "a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media.weekly_summaries")) as held:
        first = RunningCommand(product, "transform")
        first.wait_until_blocked(held)
        first.wait_until("new monthly summaries", lambda: product.query(months) != before)
        second = RunningCommand(product, "transform")
        second.wait_until_behind_another_build()
    first.finish()
    second.finish()
    scenario.check_all()


def test_the_first_build_does_not_record_days_that_a_second_build_has_cleared(scenario: Scenario) -> None:
    """The second freezes its work list just before the first records; the test runs its statements."""
    product = scenario.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media.monthly_summaries")) as held, product.connection() as second:
        first = RunningCommand(product, "transform")
        first.wait_until_blocked(held)
        held.rollback()
        second.autocommit = False
        second.execute(MARTS_LOCK.encode())
        second.execute(b"update media_ops.days_built set fingerprint = null")
        first.wait_until_blocked(second)
        first.wait_until("the statement that records what was built", lambda: bool(product.query(RECORDING)))
        second.execute(b"update media_models.int_days_to_rebuild set build_id = 'another build'")
        second.commit()
    first.finish()
    assert not product.query("select 1 from media_ops.days_built where fingerprint is not null")
    product.run("cpm", "set", "Acme", "2.5")
    scenario.load_and_build()


def test_a_partial_build_is_never_recorded_as_a_whole_one(scenario: Scenario) -> None:
    """Each runs with an alias that is removed before the next whole build."""
    for commands in (
        ["seed", "run -s int_names_staged+"],
        ["seed", "run -s int_names_staged campaigns strategies placements creatives"],
        ["run -s weekly_summaries --vars {top_n:1}", "run -s daily_metrics+ --vars {top_n:2}"],
        ["build -s int_days_to_rebuild", "run -s daily_metrics+"],
        ["run --empty", "build --empty", "run --full-refresh --empty"],
    ):
        scenario.product.aliases([("", "campaign", "Spring", "Summer")])
        for command in commands:
            assert scenario.product.dbt(*command.replace("top_n:", "top_n: ").split(" ", maxsplit=4)), command
        scenario.product.aliases([])
        scenario.load_and_build()


def test_aliases_that_change_during_a_build_are_not_recorded_as_built(scenario: Scenario) -> None:
    """Another checkout loads its seed after this build froze its work list; the next build loads its own."""
    product = scenario.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media_models.int_names_staged")) as held:
        build = RunningCommand(product, "transform")
        build.wait_until_blocked(held)
        other = replace(product, feeds_file=product.feeds_file.with_name("other.yml"))
        other.aliases([("", "campaign", "Spring", "Summer")])
        assert other.dbt("seed")
    build.output()
    product.run("cpm", "set", "Acme", "2.5")
    scenario.load_and_build()


def test_loads_cpms_retractions_and_migrations_can_run_during_a_build(scenario: Scenario) -> None:
    product = scenario.product
    deliver(scenario, "a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media.daily_metrics")) as held:
        build = RunningCommand(product, "build", "--vars", "reconcile: all", dbt=True)
        build.wait_until_blocked(held)
        deliver(scenario, "a/1.csv", rows(10, "Autumn"), 3)
        deliver(scenario, "a/0.csv", rows(5, "Winter"), 4)
        product.run("cpm", "set", "Beta", "7", "--from", "2024-02-02")
        product.run("retract", product.query("select id from media.ingestion_logs limit 1")[0]["id"])
        assert "nothing to change" in product.run("migrate").stdout
    build.finish()
    wait_for_sessions_to_end(product)
    product.run("cpm", "remove", "Beta", "--from", "2024-02-02")
    for attempt in scenario.model.attempts[:1]:
        attempt.retracted = True
    scenario.load_and_build()


def test_a_build_does_not_block_a_load_and_says_for_whom_it_waits(scenario: Scenario) -> None:
    with holding(scenario.product, MARTS_LOCK) as held:
        deliver(scenario, "a/1.csv", rows(30, "Summer"), 2)
        build = RunningCommand(scenario.product, "transform")
        build.wait_until_blocked(held)
        time.sleep(4)  # it looks every 2 seconds
    waits = rf"waiting for .* \(pid {held.info.backend_pid}, since \S+ UTC\)"
    assert re.search(waits, build.finish())
    scenario.check_all()
