"""The log of all runs: what it knows of an object, and the only statements that write a run's row.

The feeds as feeds.yml declares them today are kept beside it, because they decide which runs count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from loader.files.feeds import Feed
from loader.ingestion.s3 import S3Object

LATEST = (Path(__file__).parent / "sql" / "latest_runs.sql").read_bytes()
LOCK = "select pg_advisory_lock(class_id, object_id) from media_ops.object_lock(%s, %s)"
UNLOCK = "select pg_advisory_unlock(class_id, object_id) from media_ops.object_lock(%s, %s)"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The latest recorded run of an object's key, and whether one waits for --retry."""

    run: UUID
    etag: str | None
    last_modified: datetime
    failure: str | None
    waits: bool
    """The latest run that the file itself decided failed for its content, or has rejects."""
    waiting_clients: tuple[str, ...]
    """The unknown clients among those rejects."""

    def knows(self, thing: S3Object) -> bool:
        """Says whether this run recorded the object, and no cause outside the file calls for another."""
        same = (self.etag, self.last_modified) == (thing.etag, thing.last_modified)
        return same and self.failure != "outside"


def recorded(connection: psycopg.Connection, bucket: str, key: str | None = None) -> dict[str, Recorded]:
    """Returns what is recorded of a bucket's objects by key, or of one object."""
    found = connection.execute(LATEST, {"bucket": bucket, "key": key}).fetchall()
    return {
        name: Recorded(run, etag, modified, failure, waits, tuple(clients or ()))
        for name, run, etag, modified, failure, waits, clients in found
    }


@contextmanager
def object_lock(connection: psycopg.Connection, thing: S3Object) -> Iterator[None]:
    """Holds the object's lock, for the session: it outlives transactions, and ends with a killed loader."""
    names = [thing.bucket, thing.key]
    connection.execute(LOCK, names)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(UNLOCK, names)


def begin_run(connection: psycopg.Connection, feed: Feed, thing: S3Object, day: date) -> UUID:
    """Records the attempt as failed, interrupted, so that a killed loader leaves a correct record."""
    row = {
        "run_date": day,
        "status": "failed",
        "failure": "outside",
        "message": "interrupted",
        "file_name": thing.key[-255:],
        "feed": feed.name,
        "feed_location": feed.location,
        "bucket": thing.bucket,
        "object_key": thing.key,
        "object_uri": thing.uri,
        "etag": thing.etag,
        "version_id": thing.version_id,
        "last_modified": thing.last_modified,
        "size_bytes": thing.size,
    }
    statement = sql.SQL("insert into media.ingestion_logs ({}) values ({}) returning id").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
    )
    found = connection.execute(statement, row).fetchone()
    assert found is not None
    run: UUID = found[0]
    return run


def end_run(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any]) -> None:
    """Writes how a run ended."""
    _write(connection, run, values, sql.SQL("finished_at = clock_timestamp() at time zone 'utc', "))


def note_run(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any]) -> None:
    """Writes what is known by now of a run that goes on."""
    _write(connection, run, values, sql.SQL(""))


def renew_run(connection: psycopg.Connection, run: UUID, last_modified: datetime) -> date:
    """Writes since when S3 holds the content of a run, found there again; returns the run's date."""
    found = connection.execute(
        "update media.ingestion_logs set last_modified = %s where id = %s returning run_date",
        [last_modified, run],
    ).fetchone()
    assert found is not None
    day: date = found[0]
    return day


def retract_run(connection: psycopg.Connection, run: UUID) -> None:
    """Writes that a run's rows no longer count; a run that is retracted already stays as it is."""
    connection.execute(
        "update media.ingestion_logs set retracted_at = now() at time zone 'utc'"
        " where id = %s and retracted_at is null",
        [run],
    )


def _write(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any], first: sql.SQL) -> None:
    changes = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values]
    statement = sql.SQL("update media.ingestion_logs set {}{} where id = %(run)s").format(
        first, sql.SQL(", ").join(changes)
    )
    connection.execute(statement, {**values, "run": run})


def run_in_force(connection: psycopg.Connection, thing: S3Object) -> tuple[UUID, str | None] | None:
    """Returns the id and the sha256 of the key's latest run that counts."""
    return connection.execute(
        """
        select run_id, sha256 from media_ops.runs_that_count
        where bucket = %s and object_key = %s
        order by run_number desc limit 1
        """,
        [thing.bucket, thing.key],
    ).fetchone()


def sync_feeds(connection: psycopg.Connection, feeds: Sequence[Feed]) -> None:
    """Writes into media_ops.feeds what feeds.yml says today; a feed that left it keeps its last word."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into media_ops.feeds as feeds (location, name, redelivery, client_from_key)
            values (%s, %s, %s, %s)
            on conflict (location) do update set
                name = excluded.name, redelivery = excluded.redelivery,
                client_from_key = excluded.client_from_key
            where (feeds.name, feeds.redelivery, feeds.client_from_key)
                is distinct from (excluded.name, excluded.redelivery, excluded.client_from_key)
            """,
            [
                (feed.location, feed.name, feed.redelivery, feed.client.key_group is not None)
                for feed in sorted(feeds, key=lambda feed: feed.location)
            ],
        )
