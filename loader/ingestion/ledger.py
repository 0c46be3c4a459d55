"""The ledger: reads an object's runs, and has the only statements that write ingestion_logs.

It also stores the feeds as feeds.yml declares them, because they determine which runs count.
"""

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


@dataclass(frozen=True, slots=True)
class LatestRun:
    """The latest run of an object's key, and whether the key waits for --retry."""

    run: UUID
    etag: str | None
    last_modified: datetime
    failure: str | None
    waits: bool
    """Of the runs without an outside failure, the latest failed for its content or has rejected rows."""

    def knows(self, obj: S3Object) -> bool:
        """Returns whether this run is of the object in this state and had no failure outside the file."""
        same = (self.etag, self.last_modified) == (obj.etag, obj.last_modified)
        return same and self.failure != "outside"


def latest_runs(connection: psycopg.Connection, bucket: str, key: str | None = None) -> dict[str, LatestRun]:
    """Returns the latest run of every key of a bucket, or of one key, by key."""
    found = connection.execute(LATEST, {"bucket": bucket, "key": key}).fetchall()
    return {key: LatestRun(*run) for key, *run in found}


def keys_of_known_clients(
    connection: psycopg.Connection, bucket: str, clients: Container[str]
) -> frozenset[str]:
    """Returns the keys that wait for --retry with a rejected row whose client is known now.

    `clients` holds the client_key() of every name and id. The names are read one block at a time: a file can
    have as many as it has rows.
    """
    with connection.transaction(), connection.cursor(name="waiting_clients") as cursor:
        cursor.execute(WAITING_CLIENTS, {"bucket": bucket})
        return frozenset(key for key, name in cursor if client_key(name) in clients)


@contextmanager
def object_lock(connection: psycopg.Connection, obj: S3Object) -> Iterator[str]:
    """Holds the object's lock in a transaction for the length of the block; yields the transaction's id.

    Waits while another loader holds it; raises MediaError after WAIT_SECONDS.
    """
    names = [obj.bucket, obj.key]
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


def retract_run(connection: psycopg.Connection, run: UUID) -> bool:
    """Marks a run as retracted; returns whether it was not retracted before."""
    changed = connection.execute(
        "update media.ingestion_logs set retracted_at = now() at time zone 'utc'"
        " where id = %s and retracted_at is null",
        [run],
    )
    return changed.rowcount > 0


def _write(connection: psycopg.Connection, run: UUID, values: Mapping[str, Any], first: sql.SQL) -> None:
    changes = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values]
    statement = sql.SQL("update media.ingestion_logs set {}{} where id = %(run)s").format(
        first, sql.SQL(", ").join(changes)
    )
    connection.execute(statement, {**values, "run": run})


def run_in_force(connection: psycopg.Connection, obj: S3Object) -> tuple[UUID, str | None, date] | None:
    """Returns the id, sha256 and run_date of the run in force of the object's key; None if there is none."""
    return connection.execute(
        """
        select runs.run_id, runs.sha256, logs.run_date
        from media_ops.runs_that_count as runs
        inner join media.ingestion_logs as logs on runs.run_id = logs.id
        where runs.bucket = %s and runs.object_key = %s
        order by runs.run_number desc limit 1
        """,
        [obj.bucket, obj.key],
    ).fetchone()


def retracted_run(connection: psycopg.Connection, obj: S3Object, sha256: str) -> tuple[UUID, date] | None:
    """Returns the id and run_date of the key's latest run with this content, if it was retracted."""
    return connection.execute(
        """
        select id, run_date
        from (
            select id, run_date, retracted_at from media.ingestion_logs
            where bucket = %s and object_key = %s and sha256 = %s
                and status = 'success' and same_content_as is null
            order by run_number desc limit 1
        ) as latest
        where retracted_at is not null
        """,
        [obj.bucket, obj.key, sha256],
    ).fetchone()


def sync_feeds(connection: psycopg.Connection, feeds: Sequence[Feed]) -> None:
    """Writes the feeds of feeds.yml into media_ops.feeds; keeps feeds that are no longer in feeds.yml."""
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
