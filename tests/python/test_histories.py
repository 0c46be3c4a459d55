"""Random histories, thrown at the model and at the product.

`make test` plays a few short ones, always the same. SOAK_MINUTES=60 plays new ones for an hour and
prints their seeds; SOAK_SEED plays those of one seed again.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zstandard
from agreement import check_loaded, check_marts, check_same_ids, check_untouched, runs, versions
from conftest import S3
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
from product import BUCKET, Product, product

from loader.server import Server

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
        self.events = 0
        self.clock = START
        self.versions = versions(self.product.tables())
        self.sound = True
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

    @step(feed=st.sampled_from(["days", "parts"]))
    def change_redelivery(self, feed: str) -> None:
        """A feed turns out to send parts, or whole days."""
        now = self.model.feeds[feed].get("redelivery", "replace")
        self.model.feeds[feed]["redelivery"] = "append" if now == "replace" else "replace"
        self.product.feeds(self.model.feeds)
        self.events += 1

    @precondition(lambda self: any(attempt.counts for attempt in self.model.attempts))
    @step(which=ANY)
    def retract(self, which: int) -> None:
        """A run is retracted, in force or not."""
        pairs = [pair for pair in runs(self.model, self.product.tables()) if pair[0].counts]
        attempt, log = pairs[which % len(pairs)]
        self.product.retract(log["id"])
        attempt.retracted = True
        self.events += 1

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
        self.events = 0
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
            options = {"feed": sorted(FEEDS)[which % len(FEEDS)]}
        self.product.load(**options, expect=self.loaded(self.model.load(**options)))
        self.check_loaded()

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
    @step()
    def build_twice_at_once(self) -> None:
        """Two builds at once leave what one leaves."""
        self.product.at_once(self.product.transform, self.product.transform)
        self.check_marts()

    def teardown(self) -> None:
        """End with a night, and with marts built from scratch that have the same rows and ids."""
        with self.stack:
            if self.sound:
                self.product.load(expect=self.loaded(self.model.load()))
                self.product.transform()
                self.check_marts()
                before = self.product.tables()
                self.product.forget_marts()
                self.product.transform()
                check_same_ids(before, self.product.tables())


def play(open_product: Callable[[], Any], seeded: int | None, examples: int, steps: int) -> None:
    """Play some histories of some steps."""
    machine: Any = functools.partial(Histories, open_product)
    if seeded is not None:
        machine = seed(seeded)(machine)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=seeded is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # Shrinking takes many histories of half a minute each.
        phases=(Phase.generate,) if seeded is None else (Phase.generate, Phase.shrink),
    )
    run_state_machine_as_test(machine, settings=chosen)


def test_histories(server: Server, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Model and product agree, whatever happens."""
    open_product = functools.partial(product, server, s3, tmp_path)
    minutes, given = float(os.environ.get("SOAK_MINUTES", "0")), os.environ.get("SOAK_SEED")
    if not minutes and not given:
        play(open_product, None, examples=3, steps=25)
        return
    end = time.monotonic() + minutes * 60
    while True:
        seeded = int(given or random.SystemRandom().randrange(2**32))
        with capsys.disabled():
            print(f"\nSOAK_SEED={seeded}", flush=True)
        play(open_product, seeded, examples=10, steps=50)
        if given or time.monotonic() > end:
            break
