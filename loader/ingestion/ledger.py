"""The ledger: reads an object's runs, and has the only statements that write ingestion_logs."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from loader.errors import MediaError
from loader.files.feeds import Feed
from loader.ingestion.s3 import S3Object
from loader.names import client_key

LATEST = (Path(__file__).parent / "sql" / "latest_runs.sql").read_bytes()
WAITING_CLIENTS = (Path(__file__).parent / "sql" / "waiting_clients.sql").read_bytes()
LOADER = (Path(__file__).parent / "sql" / "loader_of_object.sql").read_bytes()
WAIT_SECONDS = 3600
"""How long a loader waits for another one that loads the same object."""


Place = tuple[str, str]
"""A bucket and a key."""
State = tuple[str, str | None, datetime | None]
"""A key; with same_key: adds also the ETag and last-modified time of one of its versions."""


@dataclass(frozen=True, slots=True)
class LatestRun:
    """The latest run of an object's key (or version), and the run of it that waits for --retry."""

    run: UUID
    etag: str | None
    last_modified: datetime
    failure: str | None
    waiting: UUID | None
    """The latest run without an outside failure, if it failed for its content or has rejected rows."""

    def knows(self, obj: S3Object) -> bool:
        """Returns whether this run is of the object in this state and had no failure outside the file."""
        same = (self.etag, self.last_modified) == (obj.etag, obj.last_modified)
        return same and self.failure != "outside"


def state(obj: S3Object, adds: bool) -> State:
    """Returns what of an object is compared with its runs; `adds`: each version has runs of its own."""
    return (obj.key, obj.etag, obj.last_modified) if adds else (obj.key, None, None)


def latest_runs(
    connection: psycopg.Connection, bucket: str, adds: bool, key: str | None = None
) -> dict[State, LatestRun]:
    """Returns the latest run of every key of a bucket (with `adds`: of every version), or of one key."""
    found = connection.execute(LATEST, {"bucket": bucket, "key": key, "adds": adds}).fetchall()
    return {(key, etag, modified): LatestRun(*run) for key, etag, modified, *run in found}


def runs_of_known_clients(
    connection: psycopg.Connection, bucket: str, clients: Container[str]
) -> frozenset[UUID]:
    """Returns the runs that wait for --retry with a rejected row whose client is known now.

    `clients` holds the client_key() of every name and id. The names are read one block at a time: a file can
    have as many as it has rows.
    """
    with connection.transaction(), connection.cursor(name="waiting_clients") as cursor:
        cursor.execute(WAITING_CLIENTS, {"bucket": bucket})
        return frozenset(run for run, name in cursor if client_key(name) in clients)


@contextmanager
def object_lock(connection: psycopg.Connection, bucket: str, key: str) -> Iterator[str]:
    """Holds the lock of a key in a transaction for the length of the block; yields the transaction's id.

    Waits while another loader holds it; raises MediaError after WAIT_SECONDS.
    """
    names = [bucket, key]
    with connection.transaction():
        yield _locked(connection, names)
        connection.execute(
            "delete from media_ops.objects_loading where bucket = %s and object_key = %s", names
        )


def _locked(connection: psycopg.Connection, names: list[str]) -> str:
    """Takes the lock of the object with this bucket and key; returns the transaction's id."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        found = connection.execute("select media_ops.lock_object(%s, %s)::text", names).fetchone()
        if found and found[0]:
            return str(found[0])
        if time.monotonic() > give_up:
            raise MediaError(_busy(connection.execute(LOADER, names).fetchone()))


def _busy(loader: tuple[Any, ...] | None) -> str:
    if loader is None:
        return "another loader has been loading it for an hour: end its session, or load the object later"
    program, login, pid, since = loader
    return (
        f"{program} of {login} (pid {pid}) has been loading it since {since:%Y-%m-%d %H:%M} UTC, and we gave"
        " up waiting: end that session, or load the object later"
    )


def begin_run(connection: psycopg.Connection, feed: Feed, obj: S3Object, day: date, transaction: str) -> UUID:
    """Inserts the run as failed, "interrupted", so that a crash leaves a correct record; returns its id.

    `transaction` is that of object_lock(), which needs another connection than this one.
    """
    row = {
        "run_date": day,
        "status": "failed",
        "failure": "outside",
        "message": "interrupted",
        "file_name": obj.key[-255:],
        "feed": feed.name,
        "feed_location": feed.location,
        "bucket": obj.bucket,
        "object_key": obj.key,
        "object_uri": obj.uri,
        "etag": obj.etag,
        "version_id": obj.version_id,
        "last_modified": obj.last_modified,
        "size_bytes": obj.size,
        "loading_transaction": transaction,
    }
    statement = sql.SQL("insert into media.ingestion_logs ({}) values ({}) returning id").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
    )
    found = connection.execute(statement, row).fetchone()
    assert found is not None
    run: UUID = found[0]
    return run


def end_run(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any]) -> None:
    """Writes the outcome of a run: `values` by column of ingestion_logs."""
    _write(connection, run, values, sql.SQL("finished_at = clock_timestamp() at time zone 'utc', "))


def update_run(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any]) -> None:
    """Updates a run that is still in progress: `values` by column of ingestion_logs."""
    _write(connection, run, values, sql.SQL(""))


def retract_version(connection: psycopg.Connection, run: UUID) -> bool:
    """Marks all runs of a run's version, a key and a content, as retracted.

    Returns whether it was not retracted before.
    """
    changed = connection.execute(
        """
        update media.ingestion_logs set retracted_at = now() at time zone 'utc'
        where id in (
            select version.run_id
            from media.ingestion_logs as chosen
            left join media_ops.feed_places on chosen.feed_location = feed_places.location
            inner join media_ops.runs_that_count as version
                on version.feed_location = coalesce(feed_places.feed_location, chosen.feed_location)
                and version.file = media_ops.file_of(
                    chosen.object_uri, chosen.feed_location, version.feed_location
                )
                and version.sha256 = chosen.sha256
            where chosen.id = %s
        )
        """,
        [run],
    )
    return changed.rowcount > 0


def _write(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any], first: sql.SQL) -> None:
    changes = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values]
    statement = sql.SQL("update media.ingestion_logs set {}{} where id = %(run)s").format(
        first, sql.SQL(", ").join(changes)
    )
    connection.execute(statement, {**values, "run": run})


def same_content(
    connection: psycopg.Connection, places: Sequence[Place], obj: S3Object, sha256: str, adds: bool
) -> tuple[UUID, date, datetime] | None:
    """Returns id, run_date and last-modified time of the run in force of the object's key and this content.

    Returns None if the run in force has another content.

    `places` are the bucket and key of the object, and those that it had in the feed's previous locations.
    With `adds` (same_key: adds), each content of the key has a run in force. One of a later version does not
    count, so that the order in which versions are read makes no difference.
    """
    return connection.execute(
        """
        -- materialized: otherwise PostgreSQL may look for the places in all runs, the latest first
        with found as materialized (
            select runs.run_id, logs.run_date, runs.sha256, runs.last_modified, runs.run_number
            from unnest(%(buckets)s::text[], %(keys)s::text[]) as places (bucket, object_key)
            inner join media_ops.runs_that_count as runs using (bucket, object_key)
            inner join media.ingestion_logs as logs on runs.run_id = logs.id
            where not %(adds)s or runs.sha256 = %(sha256)s
        ),
        in_force as (select * from found order by run_number desc limit 1)
        select run_id, run_date, last_modified from in_force
        where sha256 = %(sha256)s and (not %(adds)s or last_modified <= %(last_modified)s)
        """,
        {**_columns(places), "adds": adds, "sha256": sha256, "last_modified": obj.last_modified},
    ).fetchone()


def retracted_run(
    connection: psycopg.Connection, places: Sequence[Place], sha256: str
) -> tuple[UUID, date] | None:
    """Returns the id and run_date of the latest run with this content in the places, if it was retracted."""
    return connection.execute(
        """
        with found as materialized (
            select id, run_date, retracted_at, run_number
            from unnest(%(buckets)s::text[], %(keys)s::text[]) as places (bucket, object_key)
            inner join media.ingestion_logs using (bucket, object_key)
            where sha256 = %(sha256)s and status = 'success' and same_content_as is null
        ),
        latest as (select * from found order by run_number desc limit 1)
        select id, run_date from latest where retracted_at is not null
        """,
        {**_columns(places), "sha256": sha256},
    ).fetchone()


def _columns(places: Sequence[Place]) -> dict[str, list[str]]:
    return {"buckets": [bucket for bucket, _ in places], "keys": [key for _, key in places]}


def places_of_feeds(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Returns the locations whose runs a feed has, by the location of the feed."""
    found = connection.execute(
        "select feed_location, array_agg(location order by location) from media_ops.feed_places group by 1"
    ).fetchall()
    return dict(found)
