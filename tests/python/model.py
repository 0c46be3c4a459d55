"""docs/semantics.md in plain Python: the bucket, the runs, the live rows, the marts.

Read it next to that page. It is slow and obvious on purpose: every answer is computed from the whole history,
with no SQL, no state kept between loads and builds, and nothing imported from the product. Sums and ratios
are exact (`Fraction` inside, `Decimal` outside); a figure that does not fit its column is None.
model_files.py reads the content of files.
"""

from __future__ import annotations

import hashlib
import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from model_files import (
    BIGINT,
    COUNTS,
    FORMAT,
    LEVELS,
    Reject,
    Row,
    UnloadableError,
    check_share,
    decompressed,
    fitting,
    folded,
    normal,
    read,
    rounded,
)

Feed = Mapping[str, Any]  # a feed as in feeds.yml
Period = tuple[str, date, date]  # client id, first day, last day
Path = tuple[str, ...]  # client id, campaign, strategy, placement, creative; shorter for the upper levels


@dataclass(frozen=True)
class Object:
    """One S3 object at one point in time."""

    bucket: str
    key: str
    content: bytes
    last_modified: datetime
    etag: str
    version: str = ""

    @property
    def uri(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def state(self) -> tuple[str, datetime]:
        """What a listing shows of its content."""
        return self.etag, self.last_modified


@dataclass(eq=False)
class Attempt:
    """One row of ingestion_logs; a run that counts unless `same_as` is set."""

    location: str  # of its feed when it was loaded
    object: Object
    number: int
    sha256: str = ""
    status: str = "failed"
    failure: str | None = "outside"  # the next plain load tries again; "content" waits for --retry
    run_date: date | None = None
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    same_as: Attempt | None = None
    retracted: bool = False
    delivered: datetime | None = None  # of a retry: when its content was first delivered

    @property
    def modified(self) -> datetime:
        """The time that decides whether it is later than another run."""
        return self.delivered or self.object.last_modified

    @property
    def staged(self) -> bool:
        """Whether its content was staged, by this run."""
        return self.status == "success" and self.same_as is None

    @property
    def counts(self) -> bool:
        """Section 4, rule 1."""
        return self.staged and not self.retracted


@dataclass(frozen=True)
class Figures:
    """The figures of one row of daily_metrics or of a summary; None is null."""

    impressions: int | None
    clicks: int | None
    conversions: int | None
    revenue: Decimal | None
    spend: Decimal | None
    ctr: Decimal | None = None
    cpc: Decimal | None = None
    cpa: Decimal | None = None
    roas: Decimal | None = None

    def with_ratios(self) -> Figures:
        """Adds the ratios, each computed from the (rounded) figures of the same row."""
        return replace(
            self,
            ctr=ratio(self.clicks, self.impressions, 6),
            cpc=ratio(self.spend, self.clicks, 4),
            cpa=ratio(self.spend, self.conversions, 4),
            roas=ratio(self.revenue, self.spend, 4),
        )


def ratio(numerator: int | Decimal | None, denominator: int | Decimal | None, scale: int) -> Decimal | None:
    """Divides; returns None for a None, for division by zero, and for a ratio that does not fit."""
    if numerator is None or not denominator:
        return None
    return fitting(rounded(Fraction(numerator) / Fraction(denominator), scale), scale)


def total(values: Iterable[int | Decimal | None]) -> Fraction | None:
    """Adds up values exactly; returns None if any of them is None."""
    found = Fraction()
    for value in values:
        if value is None:
            return None
        found += Fraction(value)
    return found


def fitting_count(value: Fraction | None) -> int | None:
    """Returns a count, or None if bigint cannot hold it."""
    return int(value) if value is not None and value <= BIGINT else None


def fitting_money(value: Fraction | None) -> Decimal | None:
    """Rounds to cents; returns None if numeric(12, 2) cannot hold it."""
    return None if value is None else fitting(rounded(value, 2), 2)


def groups(feed: Feed, key: str) -> dict[str, str]:
    """Returns what each group of the feed's pattern matches in a key; one that matches nothing is empty."""
    pattern = re.compile(feed.get("key_pattern", ""))
    match = pattern.search(key)
    return {name: (match and match[name]) or "" for name in pattern.groupindex}


def key_date(feed: Feed, key: str) -> date | None:
    """Returns the date in a key: YYYYMMDD, YYYY-MM-DD, or in the feed's format."""
    text = groups(feed, key).get("date", "")
    written = re.fullmatch(r"[0-9]{4}(-?)[0-9]{2}\1[0-9]{2}", text)
    with suppress(ValueError):
        return datetime.strptime(text.replace("-", ""), "%Y%m%d").date() if written else read_date(text, feed)
    return None


def read_date(text: str, feed: Feed) -> date:
    """Reads a date in the feed's format."""
    return datetime.strptime(text, (FORMAT | feed.get("format", {}))["date"]).date()


def are_copies(feed: Feed) -> bool:
    """Returns whether equal files are copies: under append, without the groups part and delivery."""
    return feed.get("redelivery") == "append" and not {"part", "delivery"} & groups(feed, "").keys()


def in_force(history: list[Attempt], feed: Feed) -> list[Attempt]:
    """Section 4, rules 1 and 2: returns which of a key's runs count."""
    latest = {a.sha256: a for a in history if a.counts}  # of each version the run that began last
    runs = sorted(latest.values(), key=lambda a: a.number)
    return runs if adds(feed) else runs[-1:]


def adds(feed: Feed) -> bool:
    """Returns whether every version of a key is a separate delivery."""
    return bool(feed.get("same_key", "replaces") == "adds")


class Model:
    """Buckets, the settings that people made, and the attempts to load."""

    def __init__(self, feeds: Feed, aliases: Iterable[tuple[str, str, str, str]] = ()) -> None:
        """Takes feeds as under `feeds:`, and aliases as (client or blank, level, name, stands_for)."""
        self.feeds = dict(feeds)
        self.aliases = list(aliases)
        self.bucket: dict[tuple[str, str], Object] = {}
        self.versioned: set[str] = set()  # buckets
        self.older: list[Object] = []  # noncurrent versions in versioned buckets
        self.clients: dict[str, str] = {}  # id → name
        self.cpms: dict[tuple[str, date | None], Decimal] = {}  # client id, effective_date → cpm
        self.attempts: list[Attempt] = []
        self.settings: dict[str, Feed] = {}  # location → as last read; the location read last is the last one
        self.declared: set[str] = set()  # locations in feeds.yml as last read

    # The buckets

    def put(
        self, bucket: str, key: str, content: bytes, last_modified: datetime, etag: str, version: str = ""
    ) -> None:
        """Puts an object, replacing the one with the same key; a versioned bucket keeps that one."""
        self.delete(bucket, key)
        self.bucket[bucket, key] = Object(bucket, key, content, last_modified, etag, version)

    def delete(self, bucket: str, key: str) -> None:
        """Deletes an object; in a versioned bucket this adds a delete marker."""
        if (old := self.bucket.pop((bucket, key), None)) and bucket in self.versioned:
            self.older.append(old)

    # Which feed, which key

    def read_feeds(self) -> None:
        """Stores the settings in feeds.yml; a feed that is gone keeps those that were read last."""
        self.declared = {feed["location"] for feed in self.feeds.values()}
        for feed in self.feeds.values():
            self.settings.pop(feed["location"], None)
            self.settings[feed["location"]] = deepcopy(feed)

    def home(self, location: str) -> str:
        """Returns the location of the feed that runs from a location belong to: moved_from, step by step."""
        if location in self.declared:
            return location
        read = list(self.settings)
        for later in reversed(read[read.index(location) + 1 :]):
            if self.settings[later].get("moved_from") == location:
                return self.home(later)
        return location

    def key(self, location: str, obj: Object) -> tuple[str, str]:
        """Returns what identifies a key: its feed, and the rest of the URI after the location."""
        home = self.home(location)
        return home, obj.uri.removeprefix(home if obj.uri.startswith(home) else location)

    def feed_of(self, obj: Object) -> str | None:
        """Returns the name of the feed that an object belongs to."""
        found = [
            title
            for title, feed in self.feeds.items()
            if obj.uri.startswith(feed["location"])
            and not obj.key.endswith("/")  # such a key is a folder marker
            and re.search(feed.get("key_pattern", ""), obj.key)
        ]
        if len(found) > 1:
            raise ValueError(obj.key)
        return found[0] if found else None

    def history(self, location: str, obj: Object) -> list[Attempt]:
        """Returns the attempts for a key of a feed, wherever the feed was then; oldest first."""
        key = self.key(location, obj)
        return [a for a in self.attempts if self.key(a.location, a.object) == key]

    # What a load reads

    def is_known(self, feed: Feed, obj: Object) -> bool:
        """Returns whether an object is recorded, and did not fail for a cause outside the file."""
        history = [a for a in self.attempts if a.object.uri == obj.uri]
        recorded = [a for a in (history if adds(feed) else history[-1:]) if a.object.state == obj.state]
        return bool(recorded) and recorded[-1].failure != "outside"

    def waiting(self, feed: Feed, obj: Object) -> Attempt | None:
        """Returns the run that --retry repeats: failed for its content or with rejects, and not retracted.

        One run of the key can wait; with `same_key: adds`, one of each content, if that is still there.
        """
        decided = [a for a in self.attempts if a.object.uri == obj.uri and a.failure != "outside"]
        if adds(feed):
            latest = {a.sha256: a for a in decided}
            decided = [a for a in latest.values() if a.object.state == obj.state]
        for run in (a.same_as or a for a in decided[-1:]):
            if not run.retracted and (run.failure == "content" or run.rejects):
                return run
        return None

    def known_clients(self) -> dict[str, str]:
        """Maps folded ids and names to ids; an id takes precedence over a name."""
        by_name = {folded(title): who for who, title in self.clients.items()}
        return by_name | {folded(who): who for who in self.clients}

    def key_client(self, feed: Feed, key: str) -> str | None:
        """Returns the id of the client in a key, if the feed takes the client from there."""
        name = groups(feed, key).get(feed["client"].get("key_group", ""), "")
        return self.known_clients().get(folded(name))

    def retried(self, feed: Feed, obj: Object, retry: bool | str) -> bool:
        """Returns whether a retry repeats this object; "clients": only if an unknown client is known now."""
        waiting, known = self.waiting(feed, obj), self.known_clients()
        if not retry or waiting is None:
            return False
        return retry is True or any(
            reject.reason == "client" and folded(reject.client or "") in known for reject in waiting.rejects
        )

    def load(
        self,
        feed: str | None = None,
        key: str | None = None,
        retry: bool | str = False,
        outage: Collection[Any] = (),
        reached: Collection[Any] | None = None,
    ) -> list[Attempt]:
        """Models one `media load`; objects in `outage` fail for a cause outside the file.

        `reached` are the objects that a loader started before it was killed; None: all. Both contain keys, or
        pairs of a key and a last-modified time. `key` can be followed by ?versionId=.
        """
        self.read_feeds()
        tasks = []
        for obj in [*self.bucket.values(), *self.older]:
            title = self.feed_of(obj)
            if title is None or feed not in (None, title):
                continue
            chosen, is_current = self.feeds[title], obj is self.bucket.get((obj.bucket, obj.key))
            names = (obj.key, (obj.key, obj.last_modified))
            wanted = key in (f"{obj.key}?versionId={obj.version}", is_current and obj.key)
            if key not in (None, obj.key) and not wanted:
                continue
            if not (is_current or wanted or adds(chosen)):
                continue
            if reached is not None and not any(name in reached for name in names):
                continue
            forced = "key" if wanted else "retry" if self.retried(chosen, obj, retry) else None
            if forced or not self.is_known(chosen, obj):
                tasks.append((obj, chosen, forced, any(name in outage for name in names)))
        tasks.sort(key=lambda task: (task[0].last_modified, task[0].key.encode(), task[0].bucket))
        for obj, chosen, forced, is_out in tasks:
            attempt = Attempt(chosen["location"], obj, len(self.attempts))
            if not is_out:
                self.ingest(attempt, chosen, forced)
            self.attempts.append(attempt)
        return self.attempts[len(self.attempts) - len(tasks) :]

    def ingest(self, run: Attempt, feed: Feed, forced: str | None) -> None:
        """Loads one object completely, or none of it."""
        key, modified, on = run.object.key, run.object.last_modified.date(), key_date(feed, run.object.key)
        run.failure, run.run_date = "content", on or modified
        run.sha256 = hashlib.sha256(run.object.content).hexdigest()  # of one that cannot be decompressed
        try:
            content = decompressed(run.object.content)
            run.sha256 = hashlib.sha256(content).hexdigest()
            if same := self.same_content(run, feed, forced):
                run.status, run.failure, run.same_as = "success", None, same
                run.run_date = on or same.run_date
                return
            client = groups(feed, key).get(feed["client"].get("key_group", ""))
            rows, run.rejects = read(content, feed, self.known_clients(), client, modified)
            check_share(rows, run.rejects, Fraction(str(feed.get("max_rejected", "0.10"))))
        except UnloadableError:
            return
        days = {row.date for row in rows} | {reject.date for reject in run.rejects if reject.date}
        if feed.get("key_date") == "in_file" and days and on not in days:
            run.rejects = []
            return
        run.status, run.failure, run.rows = "success", None, rows
        if rows and not on:
            run.run_date = max(row.date for row in rows)

    def same_content(self, run: Attempt, feed: Feed, forced: str | None) -> Attempt | None:
        """Returns the run whose content an attempt repeats, if the attempt is then only logged."""
        history = self.history(run.location, run.object)
        staged = [a for a in history if a.staged and a.sha256 == run.sha256]
        if staged and staged[-1].retracted and forced != "key":
            return staged[-1]
        for same in (a for a in in_force(history, feed) if a.sha256 == run.sha256 and forced != "key"):
            if not adds(feed) or same.modified <= run.object.last_modified:
                if forced is None:
                    return same
                run.delivered = same.modified  # a retry never brings a superseded day back
        return None

    def retract(self, run: Attempt) -> None:
        """Retracts every run of the version."""
        for a in self.history(run.location, run.object):
            if a.staged and a.sha256 == run.sha256:
                a.retracted = True

    # Which rows count

    def named(self, row: Row) -> Row:
        """Replaces a row's names by their aliases; a client's own alias takes precedence over one for all."""
        new = []
        for level, old in zip(LEVELS, row[2:6], strict=True):
            aliases = {
                folded(who): to for who, at, was, to in self.aliases if (at, normal(was)) == (level, old)
            }
            mine = (folded(self.clients[row.client]), row.client, "")
            new.append(next((normal(aliases[who]) for who in mine if who in aliases), old))
        return row._replace(campaign=new[0], strategy=new[1], placement=new[2], creative=new[3])

    def age(self, run: Attempt) -> tuple[datetime, bytes, int]:
        """Returns what decides which run is the latest."""
        return run.modified, self.key(run.location, run.object)[1].encode(), run.number

    def path(self, run: Attempt) -> str:
        """Returns the run's key, as it is or would be in the feed's current location."""
        return "".join(self.key(run.location, run.object)).removeprefix("s3://").partition("/")[2]

    def runs_in_force(self, location: str) -> list[Attempt]:
        """Section 4, rules 1 and 2, for all keys of a feed, and copies under append; the oldest first."""
        feed, keys = self.settings[location], defaultdict(list)
        for a in self.attempts:
            if (key := self.key(a.location, a.object))[0] == location:
                keys[key].append(a)
        runs = sorted((a for history in keys.values() for a in in_force(history, feed)), key=self.age)
        if are_copies(feed):  # the earliest counts
            runs = list({(a.sha256, self.key_client(feed, self.path(a))): a for a in reversed(runs)}.values())
        return sorted(runs, key=self.age)

    def covers(self, run: Attempt, feed: Feed, client: str, on: date) -> bool:
        """Section 4, rule 3."""
        if any((row.client, row.date) == (client, on) for row in run.rows):
            return True
        in_key = key_date(feed, self.path(run))
        days = [row.date for row in run.rows] + ([in_key] if in_key else [])
        in_span = feed.get("covers") == "span" and days and min(days) <= on <= max(days)
        whose = self.key_client(feed, self.path(run)) if "key_group" in feed["client"] else client
        return bool(in_span and whose == client)

    def part(self, run: Attempt, feed: Feed) -> str:
        """Section 4, rule 4: returns which part of its delivery a run is."""
        found = groups(feed, self.path(run))
        by_key = feed.get("redelivery") == "append" or "delivery" in found
        return found.get("part", self.key(run.location, run.object)[1] if by_key else "")

    def live_runs(self, runs: list[Attempt], feed: Feed, client: str, on: date) -> list[Attempt]:
        """Section 4, rule 4: returns which of a feed's runs count for a client and day."""
        covering = [run for run in runs if self.covers(run, feed, client, on)]
        deliveries = [groups(feed, self.path(run)).get("delivery") for run in covering]
        latest = [run for run, one in zip(covering, deliveries, strict=True) if one == deliveries[-1]]
        return list({self.part(run, feed): run for run in latest}.values())

    def live(self) -> list[Row]:
        """Returns the live rows, with aliases applied."""
        self.read_feeds()
        found = []
        for location in dict.fromkeys(self.home(a.location) for a in self.attempts):
            runs, feed = self.runs_in_force(location), self.settings[location]
            for client, on in sorted({(row.client, row.date) for run in runs for row in run.rows}):
                for run in self.live_runs(runs, feed, client, on):
                    found += [self.named(row) for row in run.rows if (row.client, row.date) == (client, on)]
        return found

    def dimensions(self) -> dict[str, set[Path]]:
        """Returns every name staged by any run that counts, under its parent."""
        rows = [self.named(row) for a in self.attempts if a.counts for row in a.rows]
        paths = {(row.client, row.campaign, row.strategy, row.placement, row.creative) for row in rows}
        return {level: {path[: depth + 2] for path in paths} for depth, level in enumerate(LEVELS)}

    def cpm(self, client: str, on: date) -> Decimal | None:
        """Returns the CPM in force: the client's setting with the greatest effective_date ≤ date."""
        settings = [(since or date.min, cpm) for (who, since), cpm in self.cpms.items() if who == client]
        return max((setting for setting in settings if setting[0] <= on), default=(None, None))[1]

    def daily(self) -> dict[tuple[date, Path], Figures]:
        """Models daily_metrics: one row per live row key, which is the date and the creative's path."""
        groups: dict[tuple[date, Path], list[Row]] = defaultdict(list)
        for row in self.live():
            groups[row.date, (row.client, *row[2:6])].append(row)
        found = {}
        for (on, path), rows in groups.items():
            impressions, clicks, conversions = summed_counts(rows)
            cpm, spend = self.cpm(path[0], on), None
            if cpm is not None and impressions is not None:
                spend = fitting_money(Fraction(cpm) * impressions / 1000)
            revenue = fitting_money(total(row.revenue for row in rows))
            found[on, path] = Figures(impressions, clicks, conversions, revenue, spend).with_ratios()
        return found

    def weekly(self, ids: Callable[[Path], str], top_n: int = 10) -> dict[Period, dict[str, Any]]:
        """Models weekly_summaries, Monday to Sunday."""

        def week(on: date) -> tuple[date, date]:
            monday = on - timedelta(on.weekday())
            return monday, monday + timedelta(6)

        return self.summaries(week, ids, top_n)

    def monthly(self, ids: Callable[[Path], str], top_n: int = 10) -> dict[Period, dict[str, Any]]:
        """Models monthly_summaries."""

        def month(on: date) -> tuple[date, date]:
            return on.replace(day=1), on.replace(day=monthrange(on.year, on.month)[1])

        return self.summaries(month, ids, top_n)

    def summaries(
        self, period: Callable[[date], tuple[date, date]], ids: Callable[[Path], str], top_n: int
    ) -> dict[Period, dict[str, Any]]:
        """Sums daily_metrics by client and period; `ids` returns a path's id in the database."""
        groups: dict[Period, list[tuple[Path, Figures]]] = defaultdict(list)
        for (on, path), figures in self.daily().items():
            groups[path[0], *period(on)].append((path, figures))
        return {
            group: vars(summed([figures for _, figures in rows]))
            | {"top_campaigns": ranked(rows, 2, ids, top_n), "top_creatives": ranked(rows, 5, ids, top_n)}
            for group, rows in groups.items()
        }


def summed_counts(rows: Sequence[Row | Figures]) -> tuple[int | None, ...]:
    """Sums impressions, clicks and conversions."""
    return tuple(fitting_count(total(getattr(row, column) for row in rows)) for column in COUNTS)


def summed(rows: list[Figures]) -> Figures:
    """Sums rows of daily_metrics, and computes the ratios of the sums."""
    impressions, clicks, conversions = summed_counts(rows)
    revenue = fitting_money(total(row.revenue for row in rows))
    spend = fitting_money(total(row.spend for row in rows))
    return Figures(impressions, clicks, conversions, revenue, spend).with_ratios()


def ranked(
    rows: list[tuple[Path, Figures]], depth: int, ids: Callable[[Path], str], top_n: int
) -> list[dict[str, Any]]:
    """Ranks at most `top_n` items by revenue desc, spend desc (both nulls last), id asc."""
    groups: dict[Path, list[Figures]] = defaultdict(list)
    for path, figures in rows:
        groups[path[:depth]].append(figures)
    items = [{"id": ids(path), "name": path[-1], **vars(summed(figures))} for path, figures in groups.items()]

    def order(item: dict[str, Any]) -> tuple[bool, Decimal, bool, Decimal, str]:
        revenue, spend = item["revenue"], item["spend"]
        return revenue is None, -(revenue or Decimal()), spend is None, -(spend or Decimal()), item["id"]

    return [{"rank": rank, **item} for rank, item in enumerate(sorted(items, key=order)[:top_n], start=1)]
