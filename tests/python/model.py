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
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from model_files import (
    BIGINT,
    COUNTS,
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


@dataclass
class Attempt:
    """One row of ingestion_logs; a run that counts unless `same_as` is set."""

    feed: str  # the feed's identity, its location
    object: Object
    sha256: str = ""
    status: str = "failed"
    failure: str | None = "outside"  # the next plain load tries again; "content" waits for --retry
    run_date: date | None = None
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    same_as: Attempt | None = None
    retracted: bool = False
    key_client: str | None = None

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


class Model:
    """A bucket, the settings that people made, and the attempts to load."""

    def __init__(self, feeds: Mapping[str, Any], aliases: Iterable[tuple[str, str, str, str]] = ()) -> None:
        """Takes feeds as under `feeds:`, and aliases as (client or blank, level, name, stands_for)."""
        self.feeds = dict(feeds)
        self.aliases = list(aliases)
        self.bucket: dict[tuple[str, str], Object] = {}
        self.clients: dict[str, str] = {}  # id → name
        self.cpms: dict[tuple[str, date | None], Decimal] = {}  # client id, effective_date → cpm
        self.attempts: list[Attempt] = []

    def put(self, bucket: str, key: str, content: bytes, last_modified: datetime, etag: str) -> None:
        """Puts an object, replacing the one with the same key."""
        self.bucket[bucket, key] = Object(bucket, key, content, last_modified, etag)

    def feed_of(self, obj: Object) -> tuple[str, re.Match[str]] | None:
        """Returns the feed that an object belongs to, and the match of its pattern in the key."""
        found = [
            (title, match)
            for title, feed in self.feeds.items()
            if f"s3://{obj.bucket}/{obj.key}".startswith(feed["location"])
            and not obj.key.endswith("/")  # such a key is a folder marker
            and (match := re.search(feed.get("key_pattern", ""), obj.key))
        ]
        if len(found) > 1:
            raise ValueError(obj.key)
        return found[0] if found else None

    def history(self, obj: Object) -> list[Attempt]:
        """Returns the attempts for an object's key, oldest first."""
        return [a for a in self.attempts if (a.object.bucket, a.object.key) == (obj.bucket, obj.key)]

    def in_force(self, obj: Object) -> Attempt | None:
        """Section 4, rules 1 and 2: the latest of the key's runs that succeeded and are not retracted."""
        return next((a for a in reversed(self.history(obj)) if a.counts), None)

    def is_known(self, obj: Object) -> bool:
        """Returns whether an object is recorded, and did not fail for a cause outside the file."""
        for last in self.history(obj)[-1:]:
            same = (last.object.etag, last.object.last_modified) == (obj.etag, obj.last_modified)
            return same and last.failure != "outside"
        return False

    def waiting(self, obj: Object) -> Attempt | None:
        """Returns the run that --retry repeats: failed for its content or with rejects, and not retracted."""
        decided = [a.same_as or a for a in self.history(obj) if a.failure != "outside"]
        if not decided or decided[-1].retracted:
            return None
        return decided[-1] if decided[-1].failure == "content" or decided[-1].rejects else None

    def known_clients(self) -> dict[str, str]:
        """Maps folded ids and names to ids; an id takes precedence over a name."""
        by_name = {folded(title): who for who, title in self.clients.items()}
        return by_name | {folded(who): who for who in self.clients}

    def retried(self, obj: Object, retry: bool | str) -> bool:
        """Returns whether a retry repeats this object; "clients": only if an unknown client is known now."""
        waiting, known = self.waiting(obj), self.known_clients()
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
        outage: Collection[str] = (),
        reached: Collection[str] | None = None,
    ) -> list[Attempt]:
        """Models one `media load`; keys in `outage` fail for a cause outside the file.

        `reached` are the keys that a loader started before it was killed; None: all.
        """
        tasks = []
        for obj in self.bucket.values():
            matched = self.feed_of(obj)
            if not matched or feed not in (None, matched[0]) or key not in (None, obj.key):
                continue
            if reached is not None and obj.key not in reached:
                continue
            forced = key is not None or self.retried(obj, retry)
            if forced or not self.is_known(obj):
                tasks.append((obj, self.feeds[matched[0]], matched[1], forced))
        tasks.sort(key=lambda task: (task[0].last_modified, task[0].key.encode()))
        for obj, chosen, match, forced in tasks:
            attempt = Attempt(chosen["location"], obj)
            if obj.key not in outage:
                self.ingest(attempt, chosen, match.groupdict(), forced)
            self.attempts.append(attempt)
        return self.attempts[len(self.attempts) - len(tasks) :]

    def ingest(
        self, run: Attempt, feed: Mapping[str, Any], groups: Mapping[str, str | None], forced: bool
    ) -> None:
        """Loads one object completely, or none of it."""
        modified, current = run.object.last_modified.date(), self.in_force(run.object)
        key_client = groups.get(feed["client"].get("key_group", ""))
        run.key_client = self.known_clients().get(folded(key_client)) if key_client else None
        run.failure = "content"
        key_date = groups.get("date")
        run.run_date = date.fromisoformat(key_date) if key_date else modified
        try:
            content = decompressed(run.object.content)
            run.sha256 = hashlib.sha256(content).hexdigest()
            earlier = [a for a in self.history(run.object) if a.staged and a.sha256 == run.sha256]
            same = current if current and current.sha256 == run.sha256 else None
            if not same and earlier and earlier[-1].retracted:  # only --key loads it again
                same = earlier[-1]
            if same and not forced:
                run.status, run.failure, run.same_as = "success", None, same
                run.run_date = date.fromisoformat(key_date) if key_date else same.run_date
                return
            rows, run.rejects = read(content, feed, self.known_clients(), key_client, modified)
            check_share(rows, run.rejects, Fraction(str(feed.get("max_rejected", "0.10"))))
        except UnloadableError:
            return
        run.status, run.failure, run.rows = "success", None, rows
        if rows and not key_date:
            run.run_date = max(row.date for row in rows)

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

    def live_runs(self, client: str, on: date) -> list[Attempt]:
        """Returns the runs whose rows are live for a client and day."""
        latest = [a for a in self.attempts if a is self.in_force(a.object)]
        ordered = sorted(latest, key=lambda a: (a.object.last_modified, a.object.key.encode()))
        redelivery = {feed["location"]: feed.get("redelivery", "replace") for feed in self.feeds.values()}
        by_key = {feed["location"]: "key_group" in feed["client"] for feed in self.feeds.values()}
        live = []
        for feed in dict.fromkeys(a.feed for a in ordered):
            runs = [a for a in ordered if a.feed == feed]
            if redelivery[feed] == "append":  # of runs with equal content the first is in force
                runs = list({(a.sha256, by_key[feed] and a.key_client): a for a in reversed(runs)}.values())
            covering = [a for a in runs if any((row.client, row.date) == (client, on) for row in a.rows)]
            live += covering if redelivery[feed] == "append" else covering[-1:]
        return live

    def live(self) -> list[Row]:
        """Returns the live rows, with aliases applied."""
        days = {(row.client, row.date) for a in self.attempts if a.counts for row in a.rows}
        return [
            self.named(row)
            for client, on in sorted(days)
            for a in self.live_runs(client, on)
            for row in a.rows
            if (row.client, row.date) == (client, on)
        ]

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
