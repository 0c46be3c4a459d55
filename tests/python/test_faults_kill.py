"""SIGKILL at chosen points of load, transform and flow: the next night leaves what an undisturbed one does.

Where a process is killed is chosen by a lock that the test holds: the process waits for it at that statement.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import S3
from faults import Victim, World, a_world, holding, rows, settle

from loader.database.server import Server

OBJECT_LOCK = "select pg_advisory_lock(hashtext('drops'), hashtext('a/1.csv'))"
NEW_RUN = "select id from media.ingestion_logs where object_key = 'a/1.csv' for update"


def lock_table(name: str) -> str:
    return f"lock table {name} in share mode"


@pytest.fixture
def world(server: Server, s3: S3, tmp_path: Path) -> Iterator[World]:
    with a_world(server, s3, tmp_path) as made:
        yield made


def test_a_killed_loader_leaves_the_truth_and_the_next_night_completes(world: World) -> None:
    """Before COPY, after COPY, before the commit, and before the attempt is in the log at all."""
    product = world.product
    world.put("a/1.csv", rows(3000, "Summer"), 2)
    unreached: list[str] = []
    with holding(product, OBJECT_LOCK) as session:
        victim = Victim(product, "load")
        victim.until_blocked(session)
        victim.kill()
        session.execute("select pg_advisory_unlock_all()")
    settle(product)
    world.failed(reached=unreached)

    for table in ("media.staging_media_raw", "media_ops.run_days", "media_ops.rejected_rows"):
        with holding(product, lock_table(table)) as held:
            victim = Victim(product, "load")
            victim.until_blocked(held)
            status = json.loads(product.run("status", "--json").stdout)
            assert status["runs"][0]["status"] == "running"
            victim.kill()
        settle(product)
        world.failed("a/1.csv")
        assert json.loads(product.run("status", "--json").stdout)["runs"][0]["status"] == "failed"

    with holding(product, lock_table("media_ops.run_days")) as held:
        victim = Victim(product, "load")
        victim.until_blocked(held)
        with holding(product, NEW_RUN) as last:
            held.rollback()
            victim.until_blocked(last)  # all is written: it waits to say so
            victim.kill()
    settle(product)
    world.failed("a/1.csv")
    assert world.log()[1:] == [("failed", "interrupted", "outside")] * 4
    assert len(product.query("select 1 from media.staging_media_raw")) == 20
    world.night()


def test_a_build_killed_between_any_two_models_is_made_good(world: World) -> None:
    """Each night's first build is killed where it comes to a table."""
    for hour, table in enumerate(
        (
            "media_models.int_days_to_rebuild",  # before the list is frozen
            "media_ops.days_built",  # the list is written, nothing forgotten yet
            "media_models.int_names_staged",
            "media.creatives",  # between two dimensions
            "media.daily_metrics",
            "media.monthly_summaries",
        ),
        start=2,
    ):
        world.put("a/1.csv", rows(30 + hour, f"Summer {hour}"), 2 * hour)
        world.put("a/0.csv", rows(10 + hour), 2 * hour + 1)
        world.product.load()
        world.loaded()
        with holding(world.product, lock_table(table)) as held:
            victim = Victim(world.product, "transform")
            victim.until_blocked(held)
            victim.kill()
        settle(world.product)
        world.night()


def test_a_build_killed_before_it_is_recorded_is_done_again(world: World) -> None:
    """The last mart is made, a test waits. The rate is set back: forgetting alone tells the next build."""
    product = world.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media.monthly_summaries")) as marts:
        victim = Victim(product, "transform")
        victim.until_blocked(marts)
        with holding(product, "lock table media.clients in access exclusive mode") as tests:
            marts.rollback()
            victim.until_blocked(tests)
            victim.kill()
    settle(product)
    waiting = product.query("select count(*) as n from media_ops.days_built where fingerprint is null")
    assert waiting[0]["n"] == 5
    product.run("cpm", "set", "Acme", "2.5")
    world.night()


def test_a_build_killed_while_it_is_recorded_is_recorded_or_done_again(world: World) -> None:
    """Its statement has arrived: PostgreSQL may carry it out, and commit, for a client that is dead."""
    product = world.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media.monthly_summaries")) as marts:
        victim = Victim(product, "transform")
        victim.until_blocked(marts)
        with holding(product, lock_table("media_ops.days_built")) as last:
            marts.rollback()
            victim.until_blocked(last)
            assert in_record(world)
            victim.kill()
    settle(product)
    product.run("cpm", "set", "Acme", "2.5")
    world.night()


def in_record(world: World) -> bool:
    """Whether a session waits to record what was built, and holds the lock of the marts."""
    return bool(
        world.product.query(
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%own_list%'"
            " and pid in (select pid from pg_locks where locktype = 'advisory' and granted)"
        )
    )


def test_two_kinds_of_kill_of_the_flow_and_the_next_one_completes(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    product = world.product
    home = {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
    }
    world.put("a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media_ops.run_days")) as held:
        victim = Victim(product, "nightly", env=home)
        victim.until_blocked(held)
        victim.kill()
    settle(product)
    world.failed("a/1.csv")
    with holding(product, lock_table("media.daily_metrics")) as held:
        victim = Victim(product, "nightly", env=home)
        victim.until_blocked(held)
        world.loaded()
        second = Victim(product, "nightly", env=home)
        assert "another nightly flow is still running" in second.ends(1)
        victim.kill()
    settle(product)
    Victim(product, "nightly", env=home).ends()
    world.loaded()
    world.agree()
