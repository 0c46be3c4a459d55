"""Decides which objects are to be loaded, and loads them, in parallel where there are several."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg

from loader.agency.clients import known_clients
from loader.database.connection import Database, connect, require_tables
from loader.errors import MediaError
from loader.files.feeds import Feed, feed_of
from loader.ingestion.ingest import Result, Task, ingest
from loader.ingestion.ledger import Recorded, recorded, sync_feeds
from loader.ingestion.s3 import S3Object, connect_s3, objects
from loader.names import client_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 2
"""Objects at once: a server with two cores has no use for more."""


class Progress:
    """What load() reports to, from several threads; this one keeps it to itself."""

    def planned(self, tasks: Sequence[Task]) -> None:
        """Hears what is to be loaded."""

    def moved(self, thing: S3Object, position: int, rows: int) -> None:
        """Hears how far an object is: bytes read in all, rows staged since the last time."""

    def ended(self, task: Task, result: Result) -> None:
        """Hears what became of an object."""


def load(
    db: Database,
    feeds: Sequence[Feed],
    feed: str | None = None,
    key: str | None = None,
    retry: bool = False,
    dry_run: bool = False,
    workers: int = WORKERS,
    progress: Progress = Progress(),  # noqa: B008 (it has no state)
) -> list[Result]:
    """Loads what is new, with `retry` also what waits for it; with `key` that object, new or not.

    Returns a result for each object and each feed that could not be listed; raises MediaError for what
    concerns them all.
    """
    client = connect_s3()
    tasks, results = plan(db, client, feeds, feed, key, "all" if retry else None, dry_run)
    if dry_run:
        return results + [Result(t.feed.name, t.thing.uri, "planned", "would be loaded") for t in tasks]
    progress.planned(tasks)
    with ThreadPoolExecutor(max(1, min(workers, len(tasks)))) as pool:
        done = pool.map(lambda task: ingest(db, client, task, progress.moved), tasks)
        for task, result in zip(tasks, done, strict=True):
            results.append(result)
            progress.ended(task, result)
    return results


def plan(
    db: Database,
    client: S3Client,
    feeds: Sequence[Feed],
    feed: str | None = None,
    key: str | None = None,
    retry: str | None = None,
    dry_run: bool = False,
) -> tuple[list[Task], list[Result]]:
    """Returns what is to be loaded, in order, and what failed before that.

    `retry`: "all" adds what waits for --retry; "clients" only that whose unknown client is known by now.
    `dry_run`: leaves what the database knows of feeds.yml as it is, too: it decides what counts.
    """
    wanted = [one for one in feeds if feed in (None, one.name)]
    if feed is not None and not wanted:
        names = ", ".join(one.name for one in feeds) or "none"
        raise MediaError(f"feeds.yml has no feed {feed}: there are {names}")
    key = _bare_key(key, wanted)
    tasks: list[Task] = []
    failures: list[Result] = []
    with connect(db, "media_loader", autocommit=True) as connection:
        require_tables(connection)
        if not dry_run:
            sync_feeds(connection, feeds)
        choice = _Choice(connection, key is not None, retry)
        for one in wanted:
            try:
                for thing in _listed(client, one, key):
                    _add(thing, one, feeds, choice, tasks, failures)
            except MediaError as error:
                failures.append(Result(one.name, one.location, "failed", str(error), failure="outside"))
    if key is not None and not tasks and not failures:
        raise MediaError(f"there is no object {key} that a feed's location and key_pattern take")
    tasks.sort(key=lambda task: (task.thing.last_modified, task.thing.key.encode(), task.thing.bucket))
    return tasks, failures


class _Choice:
    """Decides whether an object is loaded, and whether by force."""

    def __init__(self, connection: psycopg.Connection, by_key: bool, retry: str | None) -> None:
        self._connection = connection
        self._by_key = by_key
        self._retry = retry
        self._recorded: dict[str, dict[str, Recorded]] = {}
        self._clients = known_clients(connection) if retry == "clients" else {}

    def recorded(self, thing: S3Object) -> Recorded | None:
        if thing.bucket not in self._recorded:
            self._recorded[thing.bucket] = recorded(self._connection, thing.bucket)
        return self._recorded[thing.bucket].get(thing.key)

    def forced(self, last: Recorded | None) -> bool:
        if self._by_key or last is None or not last.waits:
            return self._by_key
        known = any(client_key(name) in self._clients for name in last.waiting_clients)
        return self._retry == "all" or (self._retry == "clients" and known)


def _add(
    thing: S3Object,
    feed: Feed,
    feeds: Sequence[Feed],
    choice: _Choice,
    tasks: list[Task],
    failures: list[Result],
) -> None:
    match = feed.match(thing.key)
    if match is None:
        return
    try:
        feed_of(feeds, thing.bucket, thing.key)
    except MediaError as error:
        if all(failure.uri != thing.uri for failure in failures):
            failures.append(Result(feed.name, thing.uri, "failed", str(error), failure="outside"))
        return
    last = choice.recorded(thing)
    forced = choice.forced(last)
    if not forced and last is not None and last.knows(thing):
        return
    tasks.append(Task(feed, thing, match, forced, last))


def _listed(client: S3Client, feed: Feed, key: str | None) -> list[S3Object]:
    if key is None:
        return list(objects(client, feed.bucket, feed.prefix))
    if not key.startswith(feed.prefix):
        return []
    return [thing for thing in objects(client, feed.bucket, key) if thing.key == key]


def _bare_key(key: str | None, feeds: Sequence[Feed]) -> str | None:
    """Takes s3://bucket/ off, if someone pasted the whole URI."""
    for feed in feeds:
        if key is not None and key.startswith(f"s3://{feed.bucket}/"):
            return key.removeprefix(f"s3://{feed.bucket}/")
    return key
