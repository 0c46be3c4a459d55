"""Random histories, thrown at the model and at the product.

`make test` plays a few short ones, always the same; soak_histories.py plays new ones.
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
from agreement import check_loaded, check_marts, check_same_ids, check_untouched, runs, same, versions
from conftest import S3
from faults import Victim, settle
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
from product import BUCKET, Product, product

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
# Few values, so that row keys meet, contents repeat and ranks tie.
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
# One cell of a row, put as some partners put it, or bad, or too big for a sum.
ODD_CELLS = [
    *((0, client) for client in ("ACME ", "Delta", "nobody", "")),
    # The first two of March are in the future until the clock has come that far.
    *((1, day) for day in ("2024-03-02", "2024-03-04", "2023-12-31", "2024-02-29", "1999-12-31", "soon")),
    *((2, campaign) for campaign in ("Spring ", "a-b", "", 'two\n"lines"', "x" * 256)),
    *((3, strategy) for strategy in ("c", "a-b")),
    *((5, imps) for imps in ("1,234", "12,34", "9000000000000000000", "9000000000000000000", "1.5", "")),
    *((6, clicks) for clicks in ("-", "-1")),
    *((7, conversions) for conversions in ("3.0", "NaN")),
    *((8, revenue) for revenue in ("$2.50", "-0.005", "1.005", "€1", "9999999999.99", "9999999999.99")),
]
RUBBISH = [b"", b"Date\n", b"\x1f\x8b broken", b"\xff\xff\n"]
PACKINGS: list[Callable[[bytes], bytes]] = [
    *(bytes, bytes, bytes, bz2.compress, zstandard.compress),
    lambda data: gzip.compress(data, mtime=0),
]
RATES = st.sampled_from([Decimal(text) for text in ("0", "1.0000", "2.5000", "7.1235", "999999.9999")])
SINCE = st.none() | st.sampled_from([date.fromisoformat(day) for day in DAYS])
ANY = st.integers(0, 99)  # which of the things there are
ALIASES = st.tuples(
    st.sampled_from(["", "", "acme", " BETA"]),
    st.sampled_from(["campaign", "campaign", "strategy", "creative"]),
    st.sampled_from(["Spring", "Summer", " a", "(not set)", "Video"]),
    st.sampled_from(["Spring", "Summer ", "Autumn", "Cafe\u0301"]),
)
# What someone may type who knows dbt and not this project; only a whole build may be remembered as one.
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
PLAYED: Counter[str] = Counter()
START = datetime(2024, 3, 1, tzinfo=UTC)
PACE = 4  # events between two builds, at least: a build takes seconds

Cells = tuple[str, ...]


def odd(row: Cells, oddity: tuple[int, str]) -> Cells:
    """Put another text in one cell; a row with a blank client is a field short as well."""
    place, text = oddity
    return (*row[:place], text, *row[place + 1 :]) if oddity != (0, "") else row[1:]


ROWS = st.lists(ROW | ROW | ROW | st.builds(odd, ROW, st.sampled_from(ODD_CELLS)), min_size=1, max_size=6)


def csv(rows: list[Cells]) -> bytes:
    """Write a file, header first."""
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells] for cells in (HEADER, *rows)]
    return "\n".join(",".join(cells) for cells in quoted).encode()


def step(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """Make a rule that tells teardown whether it ended well."""

    def wrap(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def stepped(self: Histories, **given: Any) -> None:
            self.sound = False
            function(self, **given)
            self.sound = True

        made: Any = rule(**drawn)
        return made(stepped)

    return wrap


class Histories(RuleBasedStateMachine):
    """What can happen to an agency between two mornings."""

    def __init__(self, open_product: Callable[[], Any]) -> None:
        """Begin with two clients, an empty bucket and no marts."""
        super().__init__()
        self.stack = ExitStack()
        self.product: Product = self.stack.enter_context(open_product())
        self.model = Model(deepcopy(FEEDS))
        self.product.feeds(self.model.feeds)
        self.sent: list[tuple[str, list[Cells]]] = []
        self.events, self.built = 0, False
        self.clock = START
        self.versions = versions(self.product.tables())
        self.sound = True
        PLAYED["histories"] += 1
        for name in ("Acme", "Beta"):
            self.model.clients[self.product.add_client(name)] = name

    # Partners deliver ---------------------------------------------------------------------------------------

    def put(self, key: str, rows: list[Cells], packing: int = 0, late: int = 0) -> None:
        """Put a file of rows."""
        self.put_bytes(key, PACKINGS[packing](csv(rows)), late)
        self.sent.append((key, rows))

    def put_bytes(self, key: str, content: bytes, late: int = 0) -> None:
        """Put an object `late` times six hours back from now, though after what its key had before."""
        self.clock += timedelta(hours=6)
        moment = self.clock - timedelta(hours=late * 6)
        if previous := self.model.bucket.get((BUCKET, key)):
            moment = max(moment, previous.last_modified + timedelta(seconds=1))
        self.model.put(BUCKET, key, content, moment, self.product.put(key, content, moment))
        self.events += 1

    def one_sent(self, which: int) -> tuple[str, list[Cells]]:
        """Choose a file of those that were ever sent, the latest first."""
        return self.sent[-1 - which % len(self.sent)]

    @initialize(first=ROWS, second=ROWS, third=ROWS, cpm=RATES)
    def begin(self, first: list[Cells], second: list[Cells], third: list[Cells], cpm: Decimal) -> None:
        """No history is without files and without a rate."""
        for key, rows in zip((KEYS[0], KEYS[1], KEYS[3]), (first, second, third), strict=True):
            self.put(key, rows)
        self.insert_rate(0, cpm, None, by_command=True)

    @step(
        key=st.sampled_from(KEYS),
        rows=ROWS,
        late=st.sampled_from([0, 0, 1, 2, 9]),  # 1: the very moment of the last one
        packing=st.integers(0, 5),
    )
    def deliver(self, key: str, rows: list[Cells], late: int, packing: int) -> None:
        """A new file, or another under the same key."""
        self.put(key, rows, packing, late)

    @step(key=st.sampled_from(KEYS), rows=ROWS, rubbish=st.integers(0, 15), late=st.sampled_from([0, 1, 5]))
    def deliver_perhaps_rubbish(self, key: str, rows: list[Cells], rubbish: int, late: int) -> None:
        """The same; sometimes one that cannot be loaded at all."""
        if rubbish < len(RUBBISH):
            self.put_bytes(key, RUBBISH[rubbish])
        else:
            self.put(key, rows, 0, late)

    @step(which=ANY, place=ANY, row=ROW, key=st.none() | st.none() | st.sampled_from(KEYS))
    def correct(self, which: int, place: int, row: Cells, key: str | None) -> None:
        """One row of a file is another now; under the same key, or under another."""
        old, rows = self.one_sent(which)
        place %= len(rows) or 1
        self.put(key or old, [*rows[:place], row, *rows[place + 1 :]])

    @step(which=ANY, place=ANY, empty=st.integers(0, 3))
    def shorten(self, which: int, place: int, empty: int) -> None:
        """A day vanishes from a file, or all but its header."""
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
        """The same content once more: under its key or another, perhaps compressed otherwise."""
        old, rows = self.one_sent(which)
        self.put(key or old, rows, packing, late)

    # People decide ------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.clients) < 4)
    @step(name=st.sampled_from(["Gamma", "Delta"]))
    def add_client(self, name: str) -> None:
        """A client is added, perhaps after its rows came."""
        if name not in self.model.clients.values():
            self.model.clients[self.product.add_client(name)] = name

    @step(which=ANY, cpm=RATES, since=SINCE, by_command=st.booleans())
    def set_rate(self, which: int, cpm: Decimal, since: date | None, by_command: bool) -> None:
        """A CPM is inserted or changed."""
        self.insert_rate(which, cpm, since, by_command)

    def insert_rate(self, which: int, cpm: Decimal, since: date | None, by_command: bool) -> None:
        """Set a CPM by command or by SQL."""
        client, name = sorted(self.model.clients.items())[which % len(self.model.clients)]
        if by_command:
            self.product.set_rate(name, cpm, since)
        else:
            self.product.query(
                "insert into media.client_settings (client_id, cpm, effective_date) values (%s, %s, %s) "
                "on conflict (client_id, effective_date) do update set cpm = excluded.cpm",
                *(client, cpm, since),
            )
        self.model.rates[client, since] = cpm
        self.events += 1

    @precondition(lambda self: self.model.rates)
    @step(which=ANY, since=SINCE)
    def move_rate(self, which: int, since: date | None) -> None:
        """A CPM gets another effective date, by SQL."""
        client, old = sorted(self.model.rates, key=repr)[which % len(self.model.rates)]
        if (client, since) not in self.model.rates:
            self.product.query(
                "update media.client_settings set effective_date = %s "
                "where client_id = %s and effective_date is not distinct from %s",
                *(since, client, old),
            )
            self.model.rates[client, since] = self.model.rates.pop((client, old))
            self.events += 1

    @precondition(lambda self: self.model.rates)
    @step(which=ANY, command=st.booleans())
    def remove_rate(self, which: int, command: bool) -> None:
        """A CPM is deleted, by command or by SQL."""
        client, since = sorted(self.model.rates, key=repr)[which % len(self.model.rates)]
        if command:
            self.product.remove_rate(self.model.clients[client], since)
        else:
            self.product.query(
                "delete from media.client_settings "
                "where client_id = %s and effective_date is not distinct from %s",
                *(client, since),
            )
        del self.model.rates[client, since]
        self.events += 1

    @step(which=st.integers(0, 1))
    def change_redelivery(self, which: int) -> None:
        """A feed turns out to send parts, or whole days."""
        feed = list(self.model.feeds.values())[which]
        feed["redelivery"] = "append" if feed.get("redelivery", "replace") == "replace" else "replace"
        self.product.feeds(self.model.feeds)
        self.events += 1

    @step(which=st.integers(0, 2))
    def rename_feed(self, which: int) -> None:
        """A feed gets another name, which changes nothing."""
        old = list(self.model.feeds)[which]
        self.model.feeds = {f"{k}2" if k == old else k: feed for k, feed in self.model.feeds.items()}
        self.product.feeds(self.model.feeds)

    @step(alias=ALIASES)
    def give_alias(self, alias: tuple[str, str, str, str]) -> None:
        """A name stands for another from now on; one name cannot stand for two."""
        kept = [old for old in self.model.aliases if alias_key(old) != alias_key(alias)]
        self.set_aliases([*kept, alias])

    @precondition(lambda self: self.model.aliases)
    @step(which=ANY)
    def remove_alias(self, which: int) -> None:
        """A name stands for itself again."""
        gone = self.model.aliases[which % len(self.model.aliases)]
        self.set_aliases([alias for alias in self.model.aliases if alias != gone])

    def set_aliases(self, aliases: list[tuple[str, str, str, str]]) -> None:
        """Write the seed, which the next build reads."""
        self.product.aliases(aliases)
        self.model.aliases = aliases
        self.events += 1

    @precondition(lambda self: any(attempt.counts for attempt in self.model.attempts))
    @step(which=ANY, back=st.sampled_from([False, False, True]))
    def retract(self, which: int, back: bool) -> None:
        """A run is retracted, in force or not; perhaps what its key holds now is brought back by name."""
        pairs = [pair for pair in runs(self.model, self.product.tables()) if pair[0].counts]
        attempt, log = pairs[which % len(pairs)]
        self.product.retract(log["id"])
        attempt.retracted = True
        self.events += 1
        if back:
            key = attempt.object.key
            self.product.load(key=key, expect=self.loaded(self.model.load(key=key)))
            self.check_loaded()

    # The machine works --------------------------------------------------------------------------------------

    def loaded(self, attempts: list[Attempt]) -> list[int]:
        """Say which exit code a load has: 1 if an object failed in it."""
        return [int(any(attempt.status == "failed" for attempt in attempts))]

    def check_loaded(self) -> None:
        """Compare what the loader owns."""
        check_loaded(self.model, self.product.tables())

    def check_marts(self) -> None:
        """Compare what dbt owns, which one build has just brought up to date."""
        tables = self.product.tables()
        check_marts(self.model, tables)
        now = versions(tables)
        self.events, self.built = 0, True
        PLAYED["nights"] += 1
        check_untouched(self.versions, now)
        self.versions = now

    @step()
    def load(self) -> None:
        """A load without a build after it."""
        self.product.load(expect=self.loaded(self.model.load()))
        self.check_loaded()

    @step(which=ANY, choice=st.sampled_from(["retry", "retry", "key", "feed"]))
    def load_some(self, which: int, choice: str) -> None:
        """A load of what someone asked for."""
        options: dict[str, Any] = {"retry": True}
        if choice == "key":
            options = {"key": sorted(key for _, key in self.model.bucket)[which % len(self.model.bucket)]}
        elif choice == "feed":
            options = {"feed": sorted(self.model.feeds)[which % len(self.model.feeds)]}
        self.product.load(**options, expect=self.loaded(self.model.load(**options)))
        self.check_loaded()

    @step()
    def load_as_the_night(self) -> None:
        """The night's load repeats the files whose unknown client is known by now."""
        self.model.load(retry="clients")
        self.product.load_as_the_night()
        self.check_loaded()

    @step(moment=st.floats(0, 0.6))
    def kill_a_load(self, moment: float) -> None:
        """A loader is killed; the log says of each object whether it was done."""
        with_log = Counter(log["object_key"] for log in self.product.tables()["ingestion_logs"])
        self.kill_after(moment, "load")
        logs = sorted(self.product.tables()["ingestion_logs"], key=lambda log: int(log["run_number"]))
        began = {log["object_key"]: log for log in logs}
        counts = Counter(log["object_key"] for log in logs)
        reached = {key for key in began if counts[key] > with_log[key]}
        self.model.load(
            reached=reached, outage={key for key in reached if began[key]["failure"] == "outside"}
        )
        self.check_loaded()

    def kill_after(self, seconds: float, *arguments: str) -> None:
        """Start a command and kill it, so long after it has connected, unless it was faster."""
        victim = Victim(self.product, *arguments)
        victim.until_connected()
        time.sleep(seconds)
        victim.kill()
        settle(self.product)
        PLAYED["kills"] += 1

    @step()
    def load_twice_at_once(self) -> None:
        """Two loaders at once load each object once."""
        expect = {0, *self.loaded(self.model.load())}
        load = functools.partial(self.product.load, expect=expect)
        self.product.at_once(load, load)
        self.check_loaded()

    @precondition(lambda self: self.events >= PACE)
    @step()
    def build(self) -> None:
        """A build, perhaps of nothing new: then nothing is written."""
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.events >= PACE)
    @step()
    def night(self) -> None:
        """What happens every night."""
        self.product.load(expect=self.loaded(self.model.load()))
        self.check_loaded()
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.events >= PACE)
    @step(since=st.sampled_from(DAYS))
    def rebuild(self, since: str) -> None:
        """A build of everything since a day: nothing is written where nothing changed."""
        self.product.transform(rebuild_from=date.fromisoformat(since))
        self.check_marts()

    @precondition(lambda self: self.events >= PACE)
    @step()
    def load_during_build(self) -> None:
        """Rows arrive while a build runs; the next build misses nothing."""
        load = functools.partial(self.product.load, expect=self.loaded(self.model.load()))
        self.product.at_once(load, self.product.transform)
        self.check_loaded()
        self.versions = versions(self.product.tables())
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.events >= PACE)
    @step(moment=st.floats(0, 4))
    def kill_a_build(self, moment: float) -> None:
        """A build is killed anywhere; the next one makes it good."""
        self.kill_after(moment, "transform")
        self.versions = versions(self.product.tables())

    @precondition(lambda self: self.events >= PACE and self.built)
    @step(command=st.sampled_from(COMMANDS))
    def run_dbt(self, command: str) -> None:
        """A part of a build, which may fail where it lacks the rest; the next whole one makes it good."""
        ended = self.product.dbt(*command.replace("{top_n:1}", "{top_n: 1}").split(" ", maxsplit=4))
        # after a new list the names of the old one may have gone
        assert ended or command.startswith("run -s"), command
        self.versions = versions(self.product.tables())

    @precondition(lambda self: self.events >= PACE and self.built)
    @step()
    def build_twice_at_once(self) -> None:
        """Two builds at once leave what one leaves (of two first ones, one fails: see DECISIONS.md)."""
        self.product.at_once(self.product.transform, self.product.transform)
        self.check_marts()

    def teardown(self) -> None:
        """End with a night, one that writes nothing, and marts from scratch that have the same ids."""
        with self.stack:
            if self.sound:
                self.product.load(expect=self.loaded(self.model.load()))
                self.product.transform()
                self.check_marts()
                settle(self.product)
                writes = self.product.writes()
                self.product.transform()
                settle(self.product)
                before = self.product.tables()
                same("row versions after a second run", versions(before), self.versions)
                same("rows written by a second run", self.product.writes(), writes)
                self.product.forget_marts()
                self.product.transform()
                check_same_ids(before, self.product.tables())
                PLAYED["nights"] += 2


def alias_key(alias: tuple[str, str, str, str]) -> tuple[str, ...]:
    """Say what is given an alias: no two may have the same."""
    return folded(alias[0]), alias[1], normal(alias[2])


def play(open_product: Callable[[], Any], seeded: int, examples: int, steps: int, shrink: bool) -> None:
    """Play some histories of some steps."""
    machine: Any = seed(seeded)(functools.partial(Histories, open_product))
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Shrinking takes many histories of half a minute each.
        phases=(Phase.generate, *((Phase.shrink,) if shrink else ())),
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.parametrize("seeded", range(4))
def test_histories(server: Server, s3: S3, tmp_path: Path, seeded: int) -> None:
    """Model and product agree, whatever happens; the first of each seed is the simplest history there is."""
    play(functools.partial(product, server, s3, tmp_path), seeded, examples=2, steps=15, shrink=False)
