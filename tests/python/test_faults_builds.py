"""Builds in each other's way, parts of builds, what comes during one: only what is so is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import S3
from faults import MARTS_LOCK, Victim, World, a_world, holding, rows, settle

from loader.database.server import Server

IN_RECORD = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%own_list%'"


@pytest.fixture
def world(server: Server, s3: S3, tmp_path: Path) -> Iterator[World]:
    with a_world(server, s3, tmp_path) as made:
        yield made


def lock_table(name: str) -> str:
    return f"lock table {name} in share mode"


def deliver(world: World, key: str, content: bytes, hour: int) -> None:
    world.put(key, content, hour)
    world.product.load()
    world.loaded()


def test_a_second_build_takes_the_work_over_and_neither_fails(world: World) -> None:
    """The first has made its names when the second freezes a longer list, whose names are not made yet."""
    product = world.product
    deliver(world, "a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media.creatives")) as held:
        first = Victim(product, "build", dbt=True)
        first.until_blocked(held)
        deliver(world, "a/2.csv", rows(30, "Autumn"), 3)
        other = replace(product, feeds_file=product.feeds_file.with_name("other.yml"))
        second = Victim(other, "build", dbt=True)
        second.until_behind_another_build()
    first.ends()
    second.ends()
    world.agree()
    assert not product.query("select 1 from media_ops.days_built where fingerprint is null")


def test_the_summaries_are_made_side_by_side_and_a_second_build_waits_for_both(world: World) -> None:
    product = world.product
    months = "select * from media.monthly_summaries order by client_id, month_start"
    before = product.query(months)
    deliver(world, "a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media.weekly_summaries")) as held:
        first = Victim(product, "transform")
        first.until_blocked(held)
        first.until("the months, before the weeks", lambda: product.query(months) != before)
        second = Victim(product, "transform")
        second.until_behind_another_build()
    first.ends()
    second.ends()
    world.agree()


def test_what_a_second_build_has_forgotten_is_not_remembered_by_the_first(world: World) -> None:
    """The second freezes its list when the first is about to record; its statements are held open here."""
    product = world.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media.monthly_summaries")) as held, product.connection() as second:
        first = Victim(product, "transform")
        first.until_blocked(held)
        held.rollback()
        second.autocommit = False
        second.execute(MARTS_LOCK.encode())
        second.execute(b"update media_ops.days_built set fingerprint = null")
        first.until_blocked(second)
        first.until("its end", lambda: bool(product.query(IN_RECORD)))
        second.execute(b"update media_models.int_days_to_rebuild set build_id = 'another build'")
        second.commit()
    first.ends()
    assert not product.query("select 1 from media_ops.days_built where fingerprint is not null")
    product.run("cpm", "set", "Acme", "2.5")
    world.night()


def test_a_part_of_a_build_is_never_remembered_as_a_whole(world: World) -> None:
    """Each is run while an alias holds that is taken back before the next whole build."""
    for commands in (
        ["seed", "run -s int_names_staged+"],
        ["seed", "run -s int_names_staged campaigns strategies placements creatives"],
        ["run -s weekly_summaries --vars {top_n:1}", "run -s daily_metrics+ --vars {top_n:2}"],
        ["build -s int_days_to_rebuild", "run -s daily_metrics+"],
        ["run --empty", "build --empty", "run --full-refresh --empty"],
    ):
        world.product.aliases([("", "campaign", "Spring", "Summer")])
        for command in commands:
            assert world.product.dbt(*command.replace("top_n:", "top_n: ").split(" ", maxsplit=4)), command
        world.product.aliases([])
        world.night()


def test_aliases_that_change_during_a_build_are_not_remembered_as_its_own(world: World) -> None:
    """Another checkout loads its seed between this build's list and its names, and this one's comes back."""
    product = world.product
    product.run("cpm", "set", "Acme", "9")
    with holding(product, lock_table("media_models.int_names_staged")) as held:
        build = Victim(product, "transform")
        build.until_blocked(held)
        other = replace(product, feeds_file=product.feeds_file.with_name("other.yml"))
        other.aliases([("", "campaign", "Spring", "Summer")])
        assert other.dbt("seed")
    build.said()
    product.run("cpm", "set", "Acme", "2.5")
    world.night()


def test_rows_rates_and_migrations_may_come_during_a_build(world: World) -> None:
    product = world.product
    deliver(world, "a/1.csv", rows(30, "Summer"), 2)
    with holding(product, lock_table("media.daily_metrics")) as held:
        build = Victim(product, "build", "--vars", "reconcile: all", dbt=True)
        build.until_blocked(held)
        deliver(world, "a/1.csv", rows(10, "Autumn"), 3)
        deliver(world, "a/0.csv", rows(5, "Winter"), 4)
        product.run("cpm", "set", "Beta", "7", "--from", "2024-02-02")
        product.run("retract", product.query("select id from media.ingestion_logs limit 1")[0]["id"])
        assert "nothing to change" in product.run("migrate").stdout
    build.ends()
    settle(product)
    product.run("cpm", "remove", "Beta", "--from", "2024-02-02")
    for attempt in world.model.attempts[:1]:
        attempt.retracted = True
    world.night()


def test_a_load_is_not_held_up_by_a_build(world: World) -> None:
    with holding(world.product, MARTS_LOCK) as held:
        deliver(world, "a/1.csv", rows(30, "Summer"), 2)
        build = Victim(world.product, "transform")
        build.until_blocked(held)
    build.ends()
    world.agree()
