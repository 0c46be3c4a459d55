"""Random histories of events, applied to both the model and the product.

`make test` runs a few short ones, always the same; soak_histories.py runs new ones.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
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
from model import Attempt, Model, adds
from model_files import folded, normal
from product import BUCKET, VERSIONED, Product, fresh_product

from loader.database.server import Server
from loader.nightly.models import model_query

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
# Keys end like this; "_.csv" has neither date nor part nor delivery.
PATTERN = r"(?P<client>[^/]+)/(?P<date>[0-9-]*)_(?P<part>[0-9]*)(?P<delivery>[a-z]*)\.csv$"
KEYS = (
    *("Acme/2024-01-29_1a.csv", "Acme/2024-01-30_2a.csv", "Beta/2024-01-29_1b.csv"),
    *("acme/2024-02-01_2b.csv", "Gamma/2024-02-03_1a.csv", "Acme/_.csv"),
)
FEEDS = {"a": {"location": f"s3://{BUCKET}/a/"}, "b": {"location": f"s3://{VERSIONED}/b/"}}


Settings = dict[str, Any]


def pattern(*groups: str) -> str:
    """Returns PATTERN with only these groups, and the client."""
    return re.sub(r"\?P<(\w+)>", lambda group: group[0] if group[1] in ("client", *groups) else "?:", PATTERN)


def settings_of_a_feed() -> st.SearchStrategy[Settings]:
    """Draws everything that a feed can declare about its deliveries; the simplest are the defaults."""
    groups = st.sampled_from(
        [(), ("date",), ("part",), ("delivery",), ("date", "part"), ("date", "part", "delivery")]
    )
    free = {
        # the last pattern matches only some of the keys
        "key_pattern": groups.map(lambda names: pattern(*names)) | st.just(r"(?P<client>[^/]+)/[^/]*a\.csv"),
        "redelivery": st.sampled_from(["replace", "append"]),
        "covers": st.sampled_from(["rows", "span"]),
        "same_key": st.sampled_from(["replaces", "adds"]),
        "client": st.sampled_from([{"column": "Advertiser"}, {"key_group": "client"}, {"name": "Acme"}]),
    }
    in_file = {"key_pattern": st.just(pattern("date")), "key_date": st.just("in_file")}
    drawn = st.fixed_dictionaries(free)
    return drawn | drawn | drawn | st.fixed_dictionaries({**free, **in_file})


SETTINGS = settings_of_a_feed()
FEED = st.sampled_from(sorted(FEEDS))
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
LIVE = f"""
select rows.client_id, rows.date, rows.impressions, rows.clicks
from ({model_query("int_live_run_days")}) as live
join media.staging_media_raw as rows
    on rows.ingestion_run_id = live.run_id and rows.client_id = live.client_id and rows.date = live.date
"""
EVENTS_PER_BUILD = 8  # at least, because a build takes seconds

Cells = tuple[str, ...]


def with_cell(row: Cells, cell: tuple[int, str]) -> Cells:
    """Replaces one cell; a blank client is left out instead, so that the row has a field too few."""
    place, text = cell
    return (*row[:place], text, *row[place + 1 :]) if cell != (0, "") else row[1:]


ROWS = st.lists(
    ROW | ROW | ROW | st.builds(with_cell, ROW, st.sampled_from(ODD_CELLS)), min_size=1, max_size=6
)


@dataclass(frozen=True)
class Delivery:
    """A file that arrives: new rows under a key, or an earlier file again."""

    feed: str
    key: str
    rows: list[Cells]
    old: int | None  # which of the earlier files, counted from the latest
    edit: str  # what happens to an earlier file
    elsewhere: bool  # whether an earlier file arrives under another key
    packing: int
    late: int  # how many times six hours old it is; 1: as old as the last one


FILES = st.lists(
    st.builds(
        Delivery,
        feed=FEED,
        key=st.sampled_from(KEYS),
        rows=ROWS,
        old=st.none() | ANY,
        edit=st.sampled_from(
            ["same", "correct", "lose a day", "lose a client", "empty", "delete", "unloadable"]
        ),
        elsewhere=st.booleans(),
        packing=st.integers(0, 5),
        late=st.sampled_from([0, 0, 0, 1, 2, 9]),
    ),
    min_size=1,
    max_size=5,
)


def csv(rows: list[Cells]) -> bytes:
    """Returns a file with the header and rows."""
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells] for cells in (HEADER, *rows)]
    return "\n".join(",".join(cells) for cells in quoted).encode()


def step(**drawn: Any) -> Callable[[Callable[..., None]], Any]:
    """Makes a rule before which `files` arrive; it records whether it succeeded, so that teardown knows."""

    def wrap(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def stepped(self: Histories, files: list[Delivery] = [], **given: Any) -> None:  # noqa: B006
            self.succeeded = False
            self.deliver(files)
            function(self, **given)
            self.succeeded = True
            EVENTS[function.__name__.replace("_", " ")] += 1

        decorate: Any = rule(**drawn)
        return decorate(stepped)

    return wrap


class Histories(RuleBasedStateMachine):
    """The events that can happen to an agency's database."""

    builds = True
    """Whether builds run, what matters only to builds changes, and commands run in parallel or are killed."""

    def __init__(self, open_product: Callable[[], Any]) -> None:
        """Starts with two clients, an empty bucket and no marts."""
        super().__init__()
        self.stack = ExitStack()
        self.product: Product = self.stack.enter_context(open_product())
        self.model = Model({})
        self.model.versioned.add(VERSIONED)
        self.feeds: dict[str, dict[str, Any]] = deepcopy(FEEDS)  # also those that are not in feeds.yml
        self.titles, self.absent = {name: name for name in FEEDS}, ""
        self.moved: Counter[str] = Counter()
        self.sent: list[tuple[str, str, list[Cells]]] = []
        self.moments: dict[tuple[str, str], datetime] = {}
        self.events, self.built = 0, False
        self.clock = START
        self.versions = versions(self.product.tables())
        self.succeeded = False
        EVENTS["histories"] += 1
        for name in ("Acme", "Beta"):
            self.model.clients[self.product.add_client(name)] = name

    # Partners deliver ---------------------------------------------------------------------------------------

    def deliver(self, files: list[Delivery]) -> None:
        """Files arrive."""
        for file in files:
            feed, key, rows = file.feed, file.key, file.rows
            if file.old is not None and self.sent:
                feed, key, rows = self.sent[-1 - file.old % len(self.sent)]
                feed, key = (file.feed, file.key) if file.elsewhere else (feed, key)
                if file.edit == "correct":
                    rows = [*rows[:-1], file.rows[0]]
                elif file.edit.startswith("lose"):
                    column = ("lose a client", "lose a day").index(file.edit)
                    rows = [cells for cells in rows if cells[column] != file.rows[0][column]]
                elif file.edit == "empty":
                    rows = []
            if file.edit == "delete" and file.old is not None:
                self.delete(feed, key)
            elif file.edit == "unloadable" and file.packing < len(UNLOADABLE):
                self.put(feed, key, UNLOADABLE[file.packing], file.late)
            else:
                self.put(feed, key, PACKINGS[file.packing](csv(rows)), file.late)
                self.sent.append((feed, key, rows))

    def uri(self, feed: str, key: str) -> tuple[str, str]:
        """Returns the bucket and the whole key of a key below a feed's location."""
        bucket, _, prefix = self.feeds[feed]["location"].removeprefix("s3://").partition("/")
        return bucket, f"{prefix}{key}"

    def put(self, feed: str, key: str, content: bytes, late: int = 0) -> None:
        """Puts an object."""
        bucket, key = self.uri(feed, key)
        moment = self.moment(bucket, key, late)
        etag = self.product.put(key, content, moment, bucket)
        version = self.product.stored(bucket)[key].version_id
        self.model.put(bucket, key, content, moment, etag, version)

    def delete(self, feed: str, key: str) -> None:
        """Deletes an object, if it is there; this changes no figure."""
        bucket, key = self.uri(feed, key)
        if (bucket, key) in self.model.bucket:
            self.product.delete(key, self.moment(bucket, key), bucket)
            self.model.delete(bucket, key)

    def moment(self, bucket: str, key: str, late: int = 0) -> datetime:
        """Returns `late` times six hours ago, but later than the key's previous object."""
        self.clock += timedelta(hours=6)
        moment = self.clock - timedelta(hours=late * 6)
        if previous := self.moments.get((bucket, key)):
            moment = max(moment, previous + timedelta(seconds=1))
        self.moments[bucket, key] = moment
        self.events += 1
        return moment

    @initialize(feeds=st.tuples(SETTINGS, SETTINGS), files=FILES, more=FILES, cpm=CPMS)
    def begin(
        self, feeds: tuple[Settings, Settings], files: list[Delivery], more: list[Delivery], cpm: Decimal
    ) -> None:
        """Every history has two feeds, files and a CPM."""
        for name, chosen in zip(FEEDS, feeds, strict=True):
            self.feeds[name] |= {**COMMON, **chosen}
        self.write_feeds()
        self.insert_cpm(0, cpm, None, by_command=True)
        self.deliver(files)
        self.product.load(expect=self.exit_codes(self.model.load()))
        self.deliver(more)
        self.succeeded = True

    @step(files=FILES)
    def files_arrive(self) -> None:
        """Only files arrive."""

    @step(feed=FEED, order=st.randoms())
    def copy_in_place(self, feed: str, order: Random) -> None:
        """All objects of a feed are copied onto themselves (to encrypt them again, say), in any order."""
        self.copy(feed, self.feeds[feed]["location"], order)

    def copy(self, feed: str, location: str, order: Random) -> None:
        """Copies the objects below a location to that of the feed."""
        found = [obj for obj in self.model.bucket.values() if obj.uri.startswith(location)]
        for obj in order.sample(found, len(found)):
            self.put(feed, obj.uri.removeprefix(location), obj.content)

    # People change settings ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.model.clients) < 4)
    @step(files=FILES)
    def add_client(self) -> None:
        """A client is added, maybe after rows for it were delivered."""
        name = ("Gamma", "Delta")[len(self.model.clients) - 2]
        self.model.clients[self.product.add_client(name)] = name

    @precondition(lambda self: self.builds)
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

    @precondition(lambda self: self.builds and self.model.cpms)
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

    @precondition(lambda self: self.builds and self.model.cpms)
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

    def write_feeds(self) -> None:
        """Writes feeds.yml."""
        self.model.feeds = {
            self.titles[name]: feed for name, feed in self.feeds.items() if name != self.absent
        }
        self.product.feeds(self.model.feeds)
        self.events += 1

    def feeds_are_read(self) -> bool:
        """Returns whether a command has read feeds.yml in its current state."""
        declared = {feed["location"]: feed for feed in self.model.feeds.values()}
        return declared == {location: self.model.settings.get(location) for location in self.model.declared}

    @step(
        files=FILES,
        name=FEED,
        chosen=SETTINGS,
        only=st.none() | st.integers(0, 4),
        keep_moved=st.integers(0, 3),
    )
    def change_feed(self, name: str, chosen: Settings, only: int | None, keep_moved: int) -> None:
        """A feed's settings change: all of them or one; sometimes moved_from is removed."""
        old = {field: value for field, value in self.feeds[name].items() if field != "key_date"}
        if only is not None and "key_date" not in chosen:
            chosen = dict([list(chosen.items())[only]])
        self.feeds[name] = {**old, **chosen}
        if not keep_moved:
            self.feeds[name].pop("moved_from", None)
        self.write_feeds()

    @step(
        files=FILES,
        name=FEED,
        order=st.none() | st.randoms(),
        back=st.booleans(),
        bucket=st.sampled_from([BUCKET, VERSIONED]),
    )
    def move_feed(self, name: str, order: Random | None, back: bool, bucket: str) -> None:
        """A feed moves to another location, or back; maybe its files are copied, in any order."""
        feed = self.feeds[name]
        old, self.moved[name] = feed["location"], self.moved[name] + 1
        new = feed.get("moved_from") if back else None
        feed |= {"location": new or f"s3://{bucket}/{name}{self.moved[name]}/", "moved_from": old}
        self.write_feeds()
        if order:
            self.copy(name, old, order)

    @step(name=st.sampled_from(["", *FEEDS]))
    def remove_feed(self, name: str) -> None:
        """A feed is removed from feeds.yml, or the one that was removed comes back."""
        self.absent = name
        self.write_feeds()

    @step(name=FEED)
    def rename_feed(self, name: str) -> None:
        """A feed is renamed, which changes nothing."""
        self.titles[name] += "2"
        self.write_feeds()

    @precondition(lambda self: self.builds)
    @step(alias=ALIAS)
    def give_alias(self, alias: tuple[str, str, str, str]) -> None:
        """A name gets an alias, replacing the one that it had."""
        kept = [old for old in self.model.aliases if alias_key(old) != alias_key(alias)]
        self.set_aliases([*kept, alias])

    @precondition(lambda self: self.builds and self.model.aliases)
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
    @step(files=FILES, which=ANY, reload=st.sampled_from([False, False, True]))
    def retract(self, which: int, reload: bool) -> None:
        """A run is retracted, in force or not; sometimes its key is then loaded again with --key."""
        pairs = [pair for pair in paired_attempts(self.model, self.product.tables()) if pair[0].counts]
        attempt, log = pairs[which % len(pairs)]
        self.product.retract(log["id"])
        self.model.retract(attempt)
        self.events += 1
        if reload and (key := attempt.object.key) in self.keys():
            self.product.load(key=key, expect=self.exit_codes(self.model.load(key=key)))
            self.check_loaded()

    # Loads and builds run -----------------------------------------------------------------------------------

    def exit_codes(self, attempts: list[Attempt]) -> list[int]:
        """Returns the expected exit code of a load: 1 if an object failed."""
        return [int(any(attempt.status == "failed" for attempt in attempts))]

    def keys(self) -> list[str]:
        """Returns what `media load --key` can load: keys, and single versions of keys that add."""
        current, found = self.model.bucket.values(), []
        for obj in [*current, *self.model.older]:
            if (title := self.model.feed_of(obj)) is not None:
                found += [obj.key] if obj in current else []
                if obj.bucket == VERSIONED and adds(self.model.feeds[title]):
                    found.append(f"{obj.key}?versionId={obj.version}")
        return sorted(found)

    def check_loaded(self) -> None:
        """Compares the loader's tables."""
        check_loaded(self.model, self.product.tables())

    def may_build(self) -> bool:
        """Returns whether enough has happened for a build."""
        return self.events >= EVENTS_PER_BUILD

    def check_marts(self) -> None:
        """Compares the marts after a build; rows whose content is the same must not have been written."""
        tables = self.product.tables()
        check_marts(self.model, tables)
        now = versions(tables)
        self.events, self.built = 0, True
        EVENTS["builds"] += 1
        check_untouched(self.versions, now)
        self.versions = now

    @step(files=FILES)
    def load(self) -> None:
        """Loads without a build."""
        self.product.load(expect=self.exit_codes(self.model.load()))
        self.check_loaded()

    @step(files=FILES, which=ANY, choice=st.sampled_from(["retry", "retry", "key", "feed"]))
    def load_some(self, which: int, choice: str) -> None:
        """Loads with --retry, --key or --feed."""
        options: dict[str, Any] = {"retry": True}
        if choice == "key" and (keys := self.keys()):
            options = {"key": keys[which % len(keys)]}
        elif choice == "feed":
            options = {"feed": sorted(self.model.feeds)[which % len(self.model.feeds)]}
        self.product.load(**options, expect=self.exit_codes(self.model.load(**options)))
        self.check_loaded()

    @step(files=FILES)
    def load_as_the_nightly_flow(self) -> None:
        """Loads as the nightly flow does, which retries files whose unknown client has been added."""
        self.model.load(retry="clients")
        self.product.load_as_the_nightly_flow()
        self.check_loaded()

    # if feeds.yml is new, it is uncertain whether the killed load has read it
    @precondition(lambda self: self.builds and self.feeds_are_read())
    @step(files=FILES, moment=st.floats(0, 0.6))
    def kill_a_load(self, moment: float) -> None:
        """Kills a loader; ingestion_logs shows which objects it completed."""
        before = self.product.tables()["ingestion_logs"]
        last = max((int(log["run_number"]) for log in before), default=0)
        self.kill_after(moment, "load")
        begun = [log for log in self.product.tables()["ingestion_logs"] if int(log["run_number"]) > last]
        reached = {
            (log["object_key"], log["last_modified"].replace(tzinfo=UTC)): log["failure"] for log in begun
        }
        self.model.load(
            reached=reached, outage={one for one, failure in reached.items() if failure == "outside"}
        )
        self.check_loaded()

    def kill_after(self, seconds: float, *arguments: str) -> None:
        """Starts a command, and kills it `seconds` after it has connected, unless it has ended."""
        command = RunningCommand(self.product, *arguments)
        command.wait_until_connected()
        time.sleep(seconds)
        command.kill()
        wait_for_sessions_to_end(self.product)

    @precondition(lambda self: self.builds)
    @step(files=FILES)
    def load_twice_in_parallel(self) -> None:
        """Runs two loads in parallel; each object is loaded once."""
        expect = {0, *self.exit_codes(self.model.load())}
        load = functools.partial(self.product.load, expect=expect)
        self.product.in_parallel(load, load)
        self.check_loaded()

    @precondition(lambda self: self.may_build())
    @step()
    def build(self) -> None:
        """Builds; if nothing is new, nothing is written."""
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.may_build())
    @step(files=FILES)
    def nightly_load_and_build(self) -> None:
        """Loads and builds, as the nightly flow does."""
        self.product.load(expect=self.exit_codes(self.model.load()))
        self.check_loaded()
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.may_build())
    @step(since=st.sampled_from(DAYS))
    def rebuild(self, since: str) -> None:
        """Rebuilds everything from a day on; rows that stay the same are not written."""
        self.product.transform(rebuild_from=date.fromisoformat(since))
        self.check_marts()

    @precondition(lambda self: self.may_build())
    @step(files=FILES)
    def load_during_build(self) -> None:
        """Loads while a build runs; the next build includes all rows."""
        load = functools.partial(self.product.load, expect=self.exit_codes(self.model.load()))
        self.product.in_parallel(load, self.product.transform)
        self.check_loaded()
        self.versions = versions(self.product.tables())
        self.product.transform()
        self.check_marts()

    @precondition(lambda self: self.may_build() and self.feeds_are_read())
    @step(moment=st.floats(0, 4))
    def kill_a_build(self, moment: float) -> None:
        """Kills a build at any point; the next one repairs what it left."""
        self.kill_after(moment, "transform")
        self.versions = versions(self.product.tables())

    @precondition(lambda self: self.may_build() and self.built)
    @step(command=st.sampled_from(COMMANDS))
    def run_dbt(self, command: str) -> None:
        """Runs part of a build, which may fail without the rest; the next whole build repairs it."""
        succeeded = self.product.dbt(*command.replace("{top_n:1}", "{top_n: 1}").split(" ", maxsplit=4))
        # A new work list can contain names and days that a part of a build does not create.
        assert succeeded or " -s " in command, command
        self.versions = versions(self.product.tables())

    @precondition(lambda self: self.may_build() and self.built)
    @step()
    def build_twice_in_parallel(self) -> None:
        """Runs two builds in parallel; the result is that of one (for first builds see DECISIONS.md)."""
        self.product.in_parallel(self.product.transform, self.product.transform)
        self.check_marts()

    def teardown(self) -> None:
        """Loads and builds; half of the histories then build again, and from scratch."""
        with self.stack:
            if self.succeeded:
                self.product.load(expect=self.exit_codes(self.model.load()))
                self.product.transform()
                self.check_marts()
                if len(self.sent) % 2:
                    self.build_again_and_from_scratch()

    def build_again_and_from_scratch(self) -> None:
        """Builds with nothing new, which writes nothing, and without the marts, which gives the same ids."""
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


class Loads(Histories):
    """The same without builds, which take most of the time: compares the live rows after each load."""

    builds = False

    def may_build(self) -> bool:
        return False

    def check_loaded(self) -> None:
        """Compares the loader's tables, and which of its rows are live."""
        super().check_loaded()
        found = [tuple(row.values()) for row in self.product.query(LIVE)]
        expected = [(row.client, row.date, row.impressions, row.clicks) for row in self.model.live()]
        check_equal("live rows", sorted(found), sorted(expected))

    def teardown(self) -> None:
        with self.stack:
            if self.succeeded:
                self.load()


def alias_key(alias: tuple[str, str, str, str]) -> tuple[str, ...]:
    """Returns what identifies an alias: client, level and name, as they are compared."""
    return folded(alias[0]), alias[1], normal(alias[2])


def run_histories(
    open_product: Callable[[], Any],
    seed_number: int,
    examples: int,
    steps: int,
    shrink: bool,
    kind: type[Histories] = Histories,
) -> None:
    """Runs `examples` histories of at most `steps` steps each."""
    machine: Any = seed(seed_number)(functools.partial(kind, open_product))
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


@pytest.mark.parametrize("seed_number", range(2))
def test_product_and_model_agree_on_random_histories(
    server: Server, s3: S3, tmp_path: Path, seed_number: int
) -> None:
    """The first history of each seed is the simplest one possible."""
    run_histories(
        functools.partial(fresh_product, server, s3, tmp_path),
        seed_number,
        examples=3,
        steps=15,
        shrink=False,
    )
