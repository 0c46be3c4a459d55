"""Random histories of events, applied to both the model and the product.

`make test` runs a few short ones, always the same; soak_histories.py runs new ones.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard
from agreement import (
    check_equal,
    check_loaded,
    check_marts,
    check_same_ids,
    check_untouched,
    paired_attempts,
    versions,
)
from conftest import S3
from faults import RunningCommand, wait_for_sessions_to_end
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import Attempt, Model
from model_files import folded, normal
from product import BUCKET, Product, fresh_product

from loader.database.server import Server

HEADER = ("Advertiser", "Date", "Campaign", "Strategy", "Ad", "Imps", "Clicks", "Conv", "Revenue")
COLUMNS = {
    "date": "Date",
    "campaign_name": "Campaign",
    "strategy_name": "Strategy",
    "placement_name": {"constant": "Feed"},
    "creative_name": "Ad",
    "impressions": "Imps",
    "clicks": "Clicks",
    "conversions": "Conv",
    "conversion_revenue": "Revenue",
}
COMMON = {"columns": COLUMNS, "max_rejected": 0.5, "format": {"currency": "$"}}
FEEDS: dict[str, dict[str, Any]] = {
    "days": {
        "location": f"s3://{BUCKET}/days/",
        "key_pattern": r"(?P<date>\d{4}-\d{2}-\d{2})?[^/]*\.csv$",
        "client": {"column": "Advertiser"},
        **COMMON,
    },
    "parts": {
        "location": f"s3://{BUCKET}/parts/",
        "key_pattern": r"parts/(?P<client>[^/]+)/[^/]*\.csv$",
        "redelivery": "append",
        "client": {"key_group": "client"},
        **COMMON,
    },
    "own": {"location": f"s3://{BUCKET}/own/", "client": {"name": "Gamma"}, **COMMON},
}
KEYS = (
    *("days/2024-01-29.csv", "days/a.csv", "days/b.csv"),
    *("parts/Acme/1.csv", "parts/acme/2.csv", "parts/Beta/1.csv"),
    "own/1.csv",
)
# Sunday, Monday, Thursday: a week and a month end between them.
DAYS = ["2024-01-28", "2024-01-29", "2024-02-01"]
# Few values, so that row keys and contents repeat and ranks tie.
ROW = st.tuples(
    st.sampled_from(["Acme", "Acme", "Acme", "Beta", "Gamma"]),
    st.sampled_from(DAYS),
    st.sampled_from(["Spring", "Summer", "a"]),
    st.sampled_from(["", "b-c"]),
    st.sampled_from(["Video", "Banner"]),
    st.sampled_from(["1000", "2000", "1234", "0"]),
    st.sampled_from(["0", "7"]),
    st.sampled_from(["0", "3"]),
    st.sampled_from(["10", "10", "20", "2.50"]),
)
# A cell (column number, text) in an unusual form, or bad, or too big for a sum.
ODD_CELLS = [
    *((0, client) for client in ("ACME ", "Delta", "nobody", "")),
    # Both days in March are in the future until the clock reaches them.
    *((1, day) for day in ("2024-03-02", "2024-03-04", "2023-12-31", "2024-02-29", "1999-12-31", "soon")),
    *((2, campaign) for campaign in ("Spring ", "a-b", "", 'two\n"lines"', "x" * 256)),
    *((3, strategy) for strategy in ("c", "a-b")),
    *((5, imps) for imps in ("1,234", "12,34", "9000000000000000000", "9000000000000000000", "1.5", "")),
    *((6, clicks) for clicks in ("-", "-1")),
    *((7, conversions) for conversions in ("3.0", "NaN")),
    *((8, revenue) for revenue in ("$2.50", "-0.005", "1.005", "€1", "9999999999.99", "9999999999.99")),
]
UNLOADABLE = [b"", b"Date\n", b"\x1f\x8b broken", b"\xff\xff\n"]
PACKINGS: list[Callable[[bytes], bytes]] = [
    *(bytes, bytes, bytes, bz2.compress, zstandard.compress),
    lambda data: gzip.compress(data, mtime=0),
]
CPMS = st.sampled_from([Decimal(text) for text in ("0", "1.0000", "2.5000", "7.1235", "999999.9999")])
SINCE = st.none() | st.sampled_from([date.fromisoformat(day) for day in DAYS])
ANY = st.integers(0, 99)  # an index into a list, modulo its length
ALIAS = st.tuples(
    st.sampled_from(["", "", "acme", " BETA"]),
    st.sampled_from(["campaign", "campaign", "strategy", "creative"]),
    st.sampled_from(["Spring", "Summer", " a", "(not set)", "Video"]),
    st.sampled_from(["Spring", "Summer ", "Autumn", "Cafe\u0301"]),
)
# Commands of someone who knows dbt but not this project; only a whole build may be recorded as built.
COMMANDS = (
    *("run -s daily_metrics+", "run -s int_names_staged+", "run -s campaigns+ --vars {top_n:1}"),
    *(
        "run --empty",
        "build -s int_days_to_rebuild",
        "seed",
        "build --full-refresh",
        "run -s weekly_summaries",
    ),
)
EVENTS: Counter[str] = Counter()
"""What the histories did, for soak_histories.py to print."""
START = datetime(2024, 3, 1, tzinfo=UTC)
EVENTS_PER_BUILD = 4  # at least, because a build takes seconds

Cells = tuple[str, ...]


def with_cell(row: Cells, cell: tuple[int, str]) -> Cells:
    """Replaces one cell; a blank client is left out instead, so that the row has a field too few."""
    place, text = cell
    return (*row[:place], text, *row[place + 1 :]) if cell != (0, "") else row[1:]


ROWS = st.lists(
    ROW | ROW | ROW | st.builds(with_cell, ROW, st.sampled_from(ODD_CELLS)), min_size=1, max_size=6
)


def csv(rows: list[Cells]) -> bytes:
    """Returns a file with the header and rows."""
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells] for cells in (HEADER, *rows)]
    return "\n".join(",".join(cells) for cells in quoted).encode()


def step(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """Makes a rule that records whether it succeeded, so that teardown knows."""

    def wrap(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def stepped(self: Histories, **given: Any) -> None:
            self.succeeded = False
            function(self, **given)
            self.succeeded = True

        decorate: Any = rule(**drawn)
        return decorate(stepped)

    return wrap


class Histories(RuleBasedStateMachine):
    """The events that can happen to an agency's database."""

    def __init__(self, open_product: Callable[[], Any]) -> None:
        """Starts with two clients, an empty bucket and no marts."""
        super().__init__()
        self.stack = ExitStack()
        self.product: Product = self.stack.enter_context(open_product())
        self.model = Model(deepcopy(FEEDS))
        self.product.feeds(self.model.feeds)
        self.sent: list[tuple[str, list[Cells]]] = []
        self.events, self.built = 0, False
        self.clock = START
        self.versions = versions(self.product.tables())
        self.succeeded = True
        EVENTS["histories"] += 1
        for name in ("Acme", "Beta"):
            self.model.clients[self.product.add_client(name)] = name

    # Partners deliver ---------------------------------------------------------------------------------------

    def put(self, key: str, rows: list[Cells], packing: int = 0, late: int = 0) -> None:
        """Puts a file of rows."""
        self.put_bytes(key, PACKINGS[packing](csv(rows)), late)
        self.sent.append((key, rows))

    def put_bytes(self, key: str, content: bytes, late: int = 0) -> None:
        """Puts an object dated `late` times six hours ago, but later than the key's previous object."""
        self.clock += timedelta(hours=6)
        moment = self.clock - timedelta(hours=late * 6)
        if previous := self.model.bucket.get((BUCKET, key)):
            moment = max(moment, previous.last_modified + timedelta(seconds=1))
        self.model.put(BUCKET, key, content, moment, self.product.put(key, content, moment))
        self.events += 1

    def one_sent(self, which: int) -> tuple[str, list[Cells]]:
        """Returns one of the files sent so far, counted from the latest."""
        return self.sent[-1 - which % len(self.sent)]

    @initialize(first=ROWS, second=ROWS, third=ROWS, cpm=CPMS)
    def begin(self, first: list[Cells], second: list[Cells], third: list[Cells], cpm: Decimal) -> None:
        """Every history has files and a CPM."""
        for key, rows in zip((KEYS[0], KEYS[1], KEYS[3]), (first, second, third), strict=True):
            self.put(key, rows)
        self.insert_cpm(0, cpm, None, by_command=True)

    @step(
        key=st.sampled_from(KEYS),
        rows=ROWS,
        late=st.sampled_from([0, 0, 1, 2, 9]),  # 1: the same moment as the last one
        packing=st.integers(0, 5),
    )
    def deliver(self, key: str, rows: list[Cells], late: int, packing: int) -> None:
        """A file arrives under a new or an existing key."""
        self.put(key, rows, packing, late)

    @step(
        key=st.sampled_from(KEYS), rows=ROWS, unloadable=st.integers(0, 15), late=st.sampled_from([0, 1, 5])
    )
    def deliver_maybe_unloadable(self, key: str, rows: list[Cells], unloadable: int, late: int) -> None:
        """A file arrives; sometimes it cannot be loaded at all."""
        if unloadable < len(UNLOADABLE):
            self.put_bytes(key, UNLOADABLE[unloadable])
        else:
            self.put(key, rows, 0, late)

    @step(which=ANY, place=ANY, row=ROW, key=st.none() | st.none() | st.sampled_from(KEYS))
    def correct(self, which: int, place: int, row: Cells, key: str | None) -> None:
        """One row of a file is replaced, under the same key or another."""
        old, rows = self.one_sent(which)
        place %= len(rows) or 1
        self.put(key or old, [*rows[:place], row, *rows[place + 1 :]])

    @step(which=ANY, place=ANY, empty=st.integers(0, 3))
    def shorten(self, which: int, place: int, empty: int) -> None:
        """A file loses one day, or everything except its header."""
        key, rows = self.one_sent(which)
        gone = rows[place % len(rows)] if rows else ()
        self.put(key, [cells for cells in rows if empty and cells[1] != gone[1]])

    @step(
        which=ANY,
        key=st.none() | st.none() | st.sampled_from(KEYS),
        packing=st.integers(0, 5),
        late=st.sampled_from([0, 0, 0, 5]),
    )
    def deliver_again(self, which: int, key: str | None, packing: int, late: int) -> None:
        """The same content arrives again, under the same key or another, maybe compressed differently."""
        old, rows = self.one_sent(which)
        self.put(key or old, rows, packing, late)

    @step(places=st.permutations(range(len(KEYS))))
    def copy_in_place(self, places: list[int]) -> None:
        """Every object is copied onto itself (to encrypt it again, say), in any order."""
        for key in (KEYS[place] for place in places):
            if obj := self.model.bucket.get((BUCKET, key)):
                self.put_bytes(key, obj.content)

    # People change settings ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.clients) < 4)
    @step(name=st.sampled_from(["Gamma", "Delta"]))
    def add_client(self, name: str) -> None:
        """A client is added, maybe after rows for it were delivered."""
        if name not in self.model.clients.values():
            self.model.clients[self.product.add_client(name)] = name

    @step(which=ANY, cpm=CPMS, since=SINCE, by_command=st.booleans())
    def set_cpm(self, which: int, cpm: Decimal, since: date | None, by_command: bool) -> None:
        """A CPM is inserted or changed."""
        self.insert_cpm(which, cpm, since, by_command)

    def insert_cpm(self, which: int, cpm: Decimal, since: date | None, by_command: bool) -> None:
        """Sets a CPM by command or by SQL."""
        client, name = sorted(self.model.clients.items())[which % len(self.model.clients)]
        if by_command:
            self.product.set_cpm(name, cpm, since)
        else:
            self.product.query(
                "insert into media.client_settings (client_id, cpm, effective_date) values (%s, %s, %s) "
                "on conflict (client_id, effective_date) do update set cpm = excluded.cpm",
                *(client, cpm, since),
            )
        self.model.cpms[client, since] = cpm
        self.events += 1

    @precondition(lambda self: self.model.cpms)
    @step(which=ANY, since=SINCE)
    def move_cpm(self, which: int, since: date | None) -> None:
        """A CPM gets another effective date, by SQL."""
        client, old = sorted(self.model.cpms, key=repr)[which % len(self.model.cpms)]
        if (client, since) not in self.model.cpms:
            self.product.query(
                "update media.client_settings set effective_date = %s "
                "where client_id = %s and effective_date is not distinct from %s",
                *(since, client, old),
            )
            self.model.cpms[client, since] = self.model.cpms.pop((client, old))
            self.events += 1

    @precondition(lambda self: self.model.cpms)
    @step(which=ANY, command=st.booleans())
    def remove_cpm(self, which: int, command: bool) -> None:
        """A CPM is deleted, by command or by SQL."""
        client, since = sorted(self.model.cpms, key=repr)[which % len(self.model.cpms)]
        if command:
            self.product.remove_cpm(self.model.clients[client], since)
        else:
            self.product.query(
                "delete from media.client_settings "
                "where client_id = %s and effective_date is not distinct from %s",
                *(client, since),
            )
        del self.model.cpms[client, since]
        self.events += 1

    @step(which=st.integers(0, 1))
    def change_redelivery(self, which: int) -> None:
        """A feed's redelivery changes between replace and append."""
        feed = list(self.model.feeds.values())[which]
        feed["redelivery"] = "append" if feed.get("redelivery", "replace") == "replace" else "replace"
        self.product.feeds(self.model.feeds)
        self.events += 1

    @step(which=st.integers(0, 2))
    def rename_feed(self, which: int) -> None:
        """A feed is renamed, which changes nothing."""
        old = list(self.model.feeds)[which]
        self.model.feeds = {f"{k}2" if k == old else k: feed for k, feed in self.model.feeds.items()}
        self.product.feeds(self.model.feeds)

    @step(alias=ALIAS)
    def give_alias(self, alias: tuple[str, str, str, str]) -> None:
        """A name gets an alias, replacing the one that it had."""
        kept = [old for old in self.model.aliases if alias_key(old) != alias_key(alias)]
        self.set_aliases([*kept, alias])

    @precondition(lambda self: self.model.aliases)
    @step(which=ANY)
    def remove_alias(self, which: int) -> None:
        """An alias is removed."""
        gone = self.model.aliases[which % len(self.model.aliases)]
        self.set_aliases([alias for alias in self.model.aliases if alias != gone])

    def set_aliases(self, aliases: list[tuple[str, str, str, str]]) -> None:
        """Writes the seed, which the next build reads."""
        self.product.aliases(aliases)
        self.model.aliases = aliases
        self.events += 1

    @precondition(lambda self: any(attempt.counts for attempt in self.model.attempts))
    @step(which=ANY, reload=st.sampled_from([False, False, True]))
    def retract(self, which: int, reload: bool) -> None:
        """A run is retracted, in force or not; sometimes its key is then loaded again with --key."""
        pairs = [pair for pair in paired_attempts(self.model, self.product.tables()) if pair[0].counts]
        attempt, log = pairs[which % len(pairs)]
        self.product.retract(log["id"])
        attempt.retracted = True
        self.events += 1
        if reload:
            key = attempt.object.key
            self.product.load(key=key, expect=self.exit_codes(self.model.load(key=key)))
            self.check_loaded()

    # Loads and builds run -----------------------------------------------------------------------------------

    def exit_codes(self, attempts: list[Attempt]) -> list[int]:
        """Returns the expected exit code of a load: 1 if an object failed."""
        return [int(any(attempt.status == "failed" for attempt in attempts))]

    def check_loaded(self) -> None:
        """Compares the loader's tables."""
        check_loaded(self.model, self.product.tables())

    def check_marts(self) -> None:
        """Compares the marts after a build; rows whose content is the same must not have been written."""
        tables = self.product.tables()
        check_marts(self.model, tables)
        now = versions(tables)
        self.events, self.built = 0, True
        EVENTS["builds"] += 1
        check_untouched(self.versions, now)
        self.versions = now

    @step()
    def load(self) -> None:
        """Loads without a build."""
        self.product.load(expect=self.exit_codes(self.model.load()))
        self.check_loaded()

    @step(which=ANY, choice=st.sampled_from(["retry", "retry", "key", "feed"]))
    def load_some(self, which: int, choice: str) -> None:
        """Loads with --retry, --key or --feed."""
        options: dict[str, Any] = {"retry": True}
        if choice == "key":
            options = {"key": sorted(key for _, key in self.model.bucket)[which % len(self.model.bucket)]}
        elif choice == "feed":
            options = {"feed": sorted(self.model.feeds)[which % len(self.model.feeds)]}
        self.product.load(**options, expect=self.exit_codes(self.model.load(**options)))
        self.check_loaded()

    @step()
    def load_as_the_nightly_flow(self) -> None:
        """Loads as the nightly flow does, which retries files whose unknown client has been added."""
        self.model.load(retry="clients")
        self.product.load_as_the_nightly_flow()
        self.check_loaded()

    @step(moment=st.floats(0, 0.6))
    def kill_a_load(self, moment: float) -> None:
        """Kills a loader; ingestion_logs shows which objects it completed."""
        logged_before = Counter(log["object_key"] for log in self.product.tables()["ingestion_logs"])
        self.kill_after(moment, "load")
        logs = sorted(self.product.tables()["ingestion_logs"], key=lambda log: int(log["run_number"]))
        latest = {log["object_key"]: log for log in logs}
        counts = Counter(log["object_key"] for log in logs)
        reached = {key for key in latest if counts[key] > logged_before[key]}
        self.model.load(
            reached=reached, outage={key for key in reached if latest[key]["failure"] == "outside"}
        )
        self.check_loaded()

    def kill_after(self, seconds: float, *arguments: str) -> None:
        """Starts a command, and kills it `seconds` after it has connected, unless it has ended."""
        command = RunningCommand(self.product, *arguments)
        command.wait_until_connected()
        time.sleep(seconds)
        command.kill()
        wait_for_sessions_to_end(self.product)
        EVENTS["kills"] += 1

    @step()
    def load_twice_in_parallel(self) -> None:
        """Runs two loads in parallel; each object is loaded once."""
        expect = {0, *self.exit_codes(self.model.load())}
        load = functools.partial(self.product.load, expect=expect)
        self.product.in_parallel(load, load)
        self.check_loaded()

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD)
    @step()
    def build(self) -> None:
        """Builds; if nothing is new, nothing is written."""
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD)
    @step()
    def nightly_load_and_build(self) -> None:
        """Loads and builds, as the nightly flow does."""
        self.product.load(expect=self.exit_codes(self.model.load()))
        self.check_loaded()
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD)
    @step(since=st.sampled_from(DAYS))
    def rebuild(self, since: str) -> None:
        """Rebuilds everything from a day on; rows that stay the same are not written."""
        self.product.transform(rebuild_from=date.fromisoformat(since))
        self.check_marts()

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD)
    @step()
    def load_during_build(self) -> None:
        """Loads while a build runs; the next build includes all rows."""
        load = functools.partial(self.product.load, expect=self.exit_codes(self.model.load()))
        self.product.in_parallel(load, self.product.transform)
        self.check_loaded()
        self.versions = versions(self.product.tables())
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD)
    @step(moment=st.floats(0, 4))
    def kill_a_build(self, moment: float) -> None:
        """Kills a build at any point; the next one repairs what it left."""
        self.kill_after(moment, "transform")
        self.versions = versions(self.product.tables())

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD and self.built)
    @step(command=st.sampled_from(COMMANDS))
    def run_dbt(self, command: str) -> None:
        """Runs part of a build, which may fail without the rest; the next whole build repairs it."""
        succeeded = self.product.dbt(*command.replace("{top_n:1}", "{top_n: 1}").split(" ", maxsplit=4))
        # a new work list can contain names that a part of a build does not create
        assert succeeded or command.startswith("run -s"), command
        self.versions = versions(self.product.tables())

    @precondition(lambda self: self.events >= EVENTS_PER_BUILD and self.built)
    @step()
    def build_twice_in_parallel(self) -> None:
        """Runs two builds in parallel; the result is that of one (for first builds see DECISIONS.md)."""
        self.product.in_parallel(self.product.transform, self.product.transform)
        self.check_marts()

    def teardown(self) -> None:
        """Loads and builds, builds again (writes nothing), and builds from scratch (gives the same ids)."""
        with self.stack:
            if self.succeeded:
                self.product.load(expect=self.exit_codes(self.model.load()))
                self.product.transform()
                self.check_marts()
                wait_for_sessions_to_end(self.product)
                writes = self.product.writes()
                self.product.transform()
                wait_for_sessions_to_end(self.product)
                before = self.product.tables()
                check_equal("row versions after a second run", versions(before), self.versions)
                check_equal("rows written by a second run", self.product.writes(), writes)
                self.product.drop_marts()
                self.product.transform()
                check_same_ids(before, self.product.tables())
                EVENTS["builds"] += 2


def alias_key(alias: tuple[str, str, str, str]) -> tuple[str, ...]:
    """Returns what identifies an alias: client, level and name, as they are compared."""
    return folded(alias[0]), alias[1], normal(alias[2])


def run_histories(
    open_product: Callable[[], Any], seed_number: int, examples: int, steps: int, shrink: bool
) -> None:
    """Runs `examples` histories of at most `steps` steps each."""
    machine: Any = seed(seed_number)(functools.partial(Histories, open_product))
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # shrinking runs many histories of half a minute each
        phases=(Phase.generate, *((Phase.shrink,) if shrink else ())),
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.parametrize("seed_number", range(4))
def test_product_and_model_agree_on_random_histories(
    server: Server, s3: S3, tmp_path: Path, seed_number: int
) -> None:
    """The first history of each seed is the simplest one possible."""
    run_histories(
        functools.partial(fresh_product, server, s3, tmp_path),
        seed_number,
        examples=2,
        steps=15,
        shrink=False,
    )
