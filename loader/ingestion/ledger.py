"""What ingestion_logs knows of an object: the one place that reads and writes a run's row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    """Records the attempt as failed, interrupted: whatever happens now, the truth stands in the log."""
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
