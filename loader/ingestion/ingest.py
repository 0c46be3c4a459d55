"""Ingests one object in one transaction: S3 → rows and rejects → COPY, with one row of ingestion_logs."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, BinaryIO, cast
from uuid import UUID

import psycopg

from loader.agency.clients import known_clients
from loader.database.connection import Database, connect
from loader.errors import ContentError, MediaError, one_sentence
from loader.files.compression import decompressed
from loader.files.feeds import Feed, KeyMatch
from loader.files.rows import parse
from loader.ingestion.ledger import (
    Recorded,
    begin_run,
    end_run,
    note_run,
    object_lock,
    recorded,
    renew_run,
    run_in_force,
)
from loader.ingestion.s3 import ObjectReader, S3Object, open_object
from loader.ingestion.staging import Hashed, Rejects, cover, stage
from loader.names import client_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUFFER_BYTES = 1 << 18
FILLED = ("staging_media_raw", "rejected_rows", "run_days")
"""The tables that what a file contains is written to."""

Watch = Callable[[S3Object, int, int], None]
"""Called as an object is read: which one, its bytes read so far, and how many more rows were staged."""


@dataclass(frozen=True, slots=True)
class Task:
    """An object to be loaded."""

    feed: Feed
    thing: S3Object
    match: KeyMatch
    forced: bool
    """By --key or --retry: a new run of the whole object, even if its content is the same."""
    seen: Recorded | None
    """What was recorded of its key when this was decided."""

    def is_done(self, now: Recorded) -> bool:
        """Whether someone else has loaded it since; a run that was seen at work may have ended well, too."""
        if not now.knows(self.thing):
            return False
        before = (self.seen.run, self.seen.failure) if self.seen else None
        return not self.forced or (now.run, now.failure) != before


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an object, or of a feed that could not be listed."""

    feed: str
    uri: str
    status: str
    """loaded, same (content), skipped (someone else has loaded it meanwhile), failed or planned."""
    message: str
    run: str | None = None
    loaded: int = 0
    rejected: int = 0
    failure: str | None = None


def ingest(db: Database, client: S3Client, task: Task, watch: Watch = lambda *_: None) -> Result:
    """Loads one object unless someone else just did; every failure is a Result, none is raised."""
    run: UUID | None = None
    try:
        with connect(db, "media_loader", autocommit=True) as connection, object_lock(connection, task.thing):
            now = recorded(connection, task.thing.bucket, task.thing.key).get(task.thing.key)
            if now and task.is_done(now):
                return _result(task, "skipped", "another loader has loaded it", now.run)
            day = task.match.date or task.thing.last_modified.date()
            run = begin_run(connection, task.feed, task.thing, day)
            try:
                return _Attempt(connection, client, task, run, watch).load()
            except (MediaError, psycopg.Error, OSError) as error:
                if connection.closed:
                    raise
                return _failed(connection, task, run, error)
    except (MediaError, psycopg.Error, OSError) as error:  # OSError: no room for what is kept aside
        message = one_sentence(error)
        if run is not None:
            with suppress(MediaError, psycopg.Error), connect(db, "media_loader", autocommit=True) as again:
                end_run(again, run, {"message": message})
        return _result(task, "failed", message, run, failure="outside")


@dataclass(frozen=True, slots=True)
class _Attempt:
    connection: psycopg.Connection
    client: S3Client
    task: Task
    run: UUID
    watch: Watch

    def load(self) -> Result:
        """Reads the object and writes all of it, or nothing but how it failed."""
        clients = known_clients(self.connection)
        key_client = self.task.match.client
        key_client_id = clients.get(client_key(key_client)) if key_client else None
        with (
            closing(open_object(self.client, self.task.thing)) as reader,
            closing(Rejects(self.run)) as rejects,
        ):
            known = {"client_id": key_client_id, "version_id": reader.version_id}
            note_run(self.connection, self.run, known)  # kept if the transaction is not
            content = Hashed(decompressed(reader.stream()))
            return self._load(reader, content, clients, rejects)

    def _load(
        self, reader: ObjectReader, content: Hashed, clients: dict[str, str], rejects: Rejects
    ) -> Result:
        task = self.task

        def staged(rows: int) -> None:
            self.watch(task.thing, reader.position, rows)

        buffered = cast(BinaryIO, io.BufferedReader(content, BUFFER_BYTES))
        modified = task.thing.last_modified.date()
        blocks = parse(
            buffered, task.feed, clients=clients, key_client=task.match.client, last_modified=modified
        )
        try:
            with self.connection.transaction():
                try:
                    covered = stage(self.connection, self.run, blocks, rejects, staged)
                except ContentError as error:
                    raise _UnreadableError(str(error), content.sha256()) from error
                sha256 = content.sha256()
                self._compare(sha256)
                check_share(task.feed, covered.total(), rejects, sha256)
                cover(self.connection, self.run, covered)
                rejects.write(self.connection)
                latest = max((date.fromisoformat(day) for _, day in covered), default=modified)
                message = f"{covered.total()} rows" + (f", {len(rejects)} rejected" if len(rejects) else "")
                end = {"status": "success", "failure": None, "message": message, "sha256": sha256}
                counts = {"records_loaded": covered.total(), "records_failed": len(rejects)}
                day = {"run_date": task.match.date or latest}
                end_run(self.connection, self.run, {**end, **counts, **day})
            return _result(task, "loaded", message, self.run, covered.total(), len(rejects))
        except _SameContentError as same:
            return self._same(same.run, same.sha256)
        except _TooManyError as error:
            return _failed(self.connection, task, self.run, error, rejects)
        except _UnreadableError as error:
            try:
                self._compare(error.sha256)
            except _SameContentError as same:
                return self._same(same.run, same.sha256)
            return _failed(self.connection, task, self.run, error)

    def _compare(self, sha256: str) -> None:
        current = run_in_force(self.connection, self.task.thing)
        if current and current[1] == sha256 and not self.task.forced:
            raise _SameContentError(current[0], sha256)

    def _same(self, current: UUID, sha256: str) -> Result:
        message = f"same content as run {current}"
        with self.connection.transaction():
            current_day = renew_run(self.connection, current, self.task.thing.last_modified)
            end = {"status": "success", "failure": None, "message": message, "sha256": sha256}
            day = {"run_date": self.task.match.date or current_day}
            end_run(self.connection, self.run, {**end, **day, "same_content_as": current})
        return _result(self.task, "same", message, self.run)


class _SameContentError(Exception):
    """Rolls the rows back: the run in force has them."""

    def __init__(self, run: UUID, sha256: str) -> None:
        super().__init__(run)
        self.run, self.sha256 = run, sha256


class _UnreadableError(ContentError):
    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


class _TooManyError(_UnreadableError):
    """The file's rejects are its problem, and are kept."""


def check_share(feed: Feed, staged: int, rejects: Rejects, sha256: str) -> None:
    """Raises ContentError where too many rows are bad, or none of the rows there are can be staged."""
    unknown = rejects.reasons["client"]
    bad = len(rejects) - unknown
    if not feed.tolerates(bad, staged + bad):
        raise _TooManyError(
            f"{bad} of {staged + bad} rows are bad, more than max_rejected ({feed.max_rejected}) allows;"
            f" the first: {rejects.first.rstrip('.')}; correct the mapping and run `media load --retry`,"
            " or have the file delivered again",
            sha256,
        )
    if len(rejects) and not staged:
        names = ", ".join(repr(name[:60]) for name in list(filter(None, rejects.clients))[:3])
        raise _TooManyError(
            f"no row can be staged: unknown client {names}; add it with `media clients add`, then run"
            " `media load --retry`"
            if names
            else f"no row can be staged; the first: {rejects.first.rstrip('.')}; correct the mapping and run"
            " `media load --retry`, or have the file delivered again",
            sha256,
        )


def _failed(
    connection: psycopg.Connection, task: Task, run: UUID, error: Exception, rejects: Rejects | None = None
) -> Result:
    """Records a failed run, with its rejects where they are the reason."""
    refused = _refused(error)
    inside = refused is not None or isinstance(error, ContentError | psycopg.DataError)
    count = len(rejects) if rejects else 0
    message = refused or one_sentence(error)
    end = {"failure": "content" if inside else "outside", "message": message}
    if isinstance(error, _UnreadableError):
        end["sha256"] = error.sha256
    with connection.transaction():
        if rejects:
            rejects.write(connection)
        end_run(connection, run, end | {"records_failed": count})
    return _result(task, "failed", message, run, 0, count, end["failure"])


def _refused(error: Exception) -> str | None:
    """Returns what to tell where the database does not take what the file contains: it never will."""
    broken = isinstance(error, psycopg.errors.CheckViolation | psycopg.errors.NotNullViolation)
    if not (broken and isinstance(error, psycopg.Error) and error.diag.table_name in FILLED):
        return None
    reason = " ".join((error.diag.message_primary or "").split())
    return (
        f"the database does not take a row of this file ({reason}): correct the mapping or the rule, then run"
        " `media load --retry`, or have the file delivered again"
    )


def _result(
    task: Task,
    status: str,
    message: str,
    run: UUID | None,
    loaded: int = 0,
    rejected: int = 0,
    failure: str | None = None,
) -> Result:
    return Result(
        task.feed.name, task.thing.uri, status, message, str(run) if run else None, loaded, rejected, failure
    )
