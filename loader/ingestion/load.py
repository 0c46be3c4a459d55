"""Determines which objects have to be loaded, and loads them in parallel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg

from loader.agency.clients import known_clients
from loader.database.connection import Database, connect, require_tables
from loader.errors import MediaError
from loader.files.feeds import Feed, FeedFinder
from loader.files.keys import KeyMatch
from loader.ingestion.ingest import ingest
from loader.ingestion.ledger import (
    LatestRun,
    Place,
    State,
    latest_runs,
    places_of_feeds,
    runs_of_known_clients,
    state,
)
from loader.ingestion.s3 import S3Object, connect_s3, list_objects, list_versions
from loader.ingestion.settings import sync_feeds
from loader.ingestion.task import Result, Task

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 2
"""Objects loaded in parallel: more do not help on a server with two cores."""


class Progress:
    """Receives the progress of load(), called from several threads; this base class ignores it."""

    def planned(self, tasks: Sequence[Task]) -> None:
        """Called once, with the planned tasks."""

    def advanced(self, obj: S3Object, position: int, rows: int) -> None:
        """Called while an object is read: its bytes read so far, the rows staged since the last call."""

    def finished(self, task: Task, result: Result) -> None:
        """Called once per object, with its result."""


def load(
    db: Database,
    feeds: Sequence[Feed],
    feed: str | None = None,
    key: str | None = None,
    retry: bool = False,
    dry_run: bool = False,
    workers: int = WORKERS,
    progress: Progress = Progress(),  # noqa: B008 (has no state)
) -> list[Result]:
    """Loads new objects; with `retry` also those that wait for a retry; with `key` that object in any case.

    `feed` restricts this to one feed; with `dry_run` nothing is loaded. Returns a result for each object, and
    for each feed that could not be listed. Raises MediaError if nothing can be loaded.
    """
    client = connect_s3()
    tasks, results = plan(db, client, feeds, feed, key, "all" if retry else None, dry_run)
    if dry_run:
        return results + [Result(t.feed.name, t.obj.uri, "planned", "would be loaded") for t in tasks]
    progress.planned(tasks)
    interrupted = False

    def advanced(obj: S3Object, position: int, rows: int) -> None:
        if interrupted:
            raise KeyboardInterrupt
        progress.advanced(obj, position, rows)

    groups = by_key(tasks)
    pool = ThreadPoolExecutor(max(1, min(workers, len(groups))))
    try:
        loaded = pool.map(lambda group: [ingest(db, client, task, advanced) for task in group], groups)
        for group, done in zip(groups, loaded, strict=True):
            results += done
            for task, result in zip(group, done, strict=True):
                progress.finished(task, result)
    except BaseException:
        interrupted = True
        raise
    finally:
        pool.shutdown(wait=not interrupted, cancel_futures=True)
    return results


def by_key(tasks: Iterable[Task]) -> list[list[Task]]:
    """Groups tasks by the key of their object: the versions of one key load one after the other."""
    groups: dict[Place, list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.obj.bucket, task.obj.key), []).append(task)
    return list(groups.values())


def plan(
    db: Database,
    client: S3Client,
    feeds: Sequence[Feed],
    feed: str | None = None,
    key: str | None = None,
    retry: str | None = None,
    dry_run: bool = False,
) -> tuple[list[Task], list[Result]]:
    """Returns the objects to load, in loading order, and the failures so far. Raises MediaError.

    `retry`: "all" adds every object that waits for --retry; "clients" only those with a rejected row whose
    client is known now. `dry_run` also leaves media_ops.feeds unchanged, which determines what is live.
    """
    chosen = [one for one in feeds if feed in (None, one.name)]
    if feed is not None and not chosen:
        names = ", ".join(one.name for one in feeds) or "none"
        raise MediaError(f"feeds.yml has no feed {feed}; its feeds are: {names}")
    key, version = _key_and_version(key, chosen)
    tasks: list[Task] = []
    failures: list[Result] = []
    with connect(db, "media_loader", autocommit=True) as connection:
        require_tables(connection)
        if not dry_run:
            sync_feeds(connection, feeds)
        selector = _Selector(connection, key, version, retry)
        finder = FeedFinder(feeds)
        ambiguous: dict[str, Result] = {}
        for one in chosen:
            try:
                for obj in _list_feed(client, one, key, version):
                    matches = finder.matches(obj.bucket, obj.key)
                    if len(matches) > 1 and one.name in matches:
                        rivals = [each.name for each in feeds if each.name in matches]
                        ambiguous.setdefault(obj.uri, _ambiguous(one, obj, rivals))
                    elif one.name in matches and (task := selector.task(one, obj, matches[one.name])):
                        tasks.append(task)
            except MediaError as error:
                failures.append(Result(one.name, one.location, "failed", str(error), failure="outside"))
    failures += ambiguous.values()
    if key is not None and not tasks and not failures:
        raise MediaError(
            f"no object {key} matches a feed: check the key, and the feed's location and key_pattern"
        )
    tasks.sort(key=lambda task: (task.obj.last_modified, task.obj.key.encode(), task.obj.bucket))
    return tasks, failures


class _Selector:
    """Decides whether an object has to be loaded, by the latest run of its key (or version)."""

    def __init__(
        self, connection: psycopg.Connection, key: str | None, version: str | None, retry: str | None
    ) -> None:
        self._connection = connection
        self._key = key
        self._version = version
        self._retry = retry
        self._latest: dict[tuple[str, bool], dict[State, LatestRun]] = {}
        self._clients = known_clients(connection) if retry == "clients" else {}
        self._retried: dict[str, frozenset[UUID]] = {}
        self._locations = places_of_feeds(connection)

    def task(self, feed: Feed, obj: S3Object, match: KeyMatch) -> Task | None:
        """Returns the task to load the object; None if there is nothing to do."""
        adds = feed.same_key == "adds"
        if (obj.bucket, adds) not in self._latest:
            self._latest[obj.bucket, adds] = latest_runs(self._connection, obj.bucket, adds)
        last = self._latest[obj.bucket, adds].get(state(obj, adds))
        by_key = self._key is not None and (obj.is_current or self._version is not None)
        retry = last is not None and self._retries(obj.bucket, last)
        if not by_key and not retry and last is not None and last.knows(obj):
            return None
        places = feed.places(obj.key, self._locations.get(feed.location, []))
        return Task(feed, obj, match, by_key, retry, last, places)

    def _retries(self, bucket: str, last: LatestRun) -> bool:
        """Returns whether to load an object again because a run of it waits for --retry."""
        if last.waiting is None or self._retry is None:
            return False
        if self._retry == "clients" and bucket not in self._retried:
            self._retried[bucket] = runs_of_known_clients(self._connection, bucket, self._clients)
        return self._retry == "all" or last.waiting in self._retried[bucket]


def _ambiguous(feed: Feed, obj: S3Object, names: Iterable[str]) -> Result:
    message = f"{obj.uri} matches the feeds {' and '.join(names)}: make a key_pattern more specific"
    return Result(feed.name, obj.uri, "failed", message, failure="outside")


def _list_feed(client: S3Client, feed: Feed, key: str | None, version: str | None) -> list[S3Object]:
    """Lists the objects of a feed, or with this key (and version); with same_key: adds, all versions."""
    if key is not None and not key.startswith(feed.prefix):
        return []
    listed = list_versions if version or feed.same_key == "adds" else list_objects
    found = listed(client, feed.bucket, feed.prefix if key is None else key)
    return [obj for obj in found if key in (None, obj.key) and (version is None or obj.version_id == version)]


def _key_and_version(key: str | None, feeds: Sequence[Feed]) -> tuple[str | None, str | None]:
    """Splits KEY?versionId=VERSION, and removes s3://BUCKET/ from a key that was given as a URI."""
    if key is None:
        return None, None
    for feed in feeds:
        key = key.removeprefix(f"s3://{feed.bucket}/")
    found = re.fullmatch(r"(.+)\?versionId=([^?&]+)", key, re.DOTALL)
    return (found[1], found[2]) if found else (key, None)
