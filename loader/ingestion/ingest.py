"""Loads one object in one transaction: S3 → good and rejected rows → COPY, and one row of ingestion_logs."""

from __future__ import annotations

import io
from collections.abc import Callable, Set
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
from loader.files.feeds import Feed
from loader.files.rows import parse
from loader.ingestion.ledger import (
    begin_run,
    end_run,
    latest_runs,
    object_lock,
    retracted_run,
    same_content,
    state,
    update_run,
)
from loader.ingestion.s3 import ObjectReader, S3Object, open_object
from loader.ingestion.settings import write_run_keys
from loader.ingestion.staging import (
    HashingReader,
    Rejects,
    Staged,
    stage,
    write_run_days,
    write_summary_rows,
)
from loader.ingestion.task import Result, Task
from loader.names import client_key, counted, day_ranges, quoted

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUFFER_BYTES = 1 << 18
REJECTS_OF_A_FAILED_RUN = 10_000
"""How many rejected rows of a run that failed because of them are kept; the others are only counted."""
CONTENT_TABLES = ("staging_media_raw", "rejected_rows", "run_days")
"""The tables that a file's content is written to."""

OnProgress = Callable[[S3Object, int, int], None]
"""Called while an object is read: the object, its bytes read so far, the rows staged since the last call."""


def ingest(db: Database, client: S3Client, task: Task, on_progress: OnProgress = lambda *_: None) -> Result:
    """Loads one object, unless another loader has just done so; failures are Results, never raised."""
    run: UUID | None = None
    try:
        with (
            connect(db, "media_loader", autocommit=True) as ledger,
            connect(db, "media_loader") as connection,
            object_lock(connection, task.obj.bucket, task.obj.key) as transaction,
        ):
            found = latest_runs(ledger, task.obj.bucket, task.adds, task.obj.key)
            latest = found.get(state(task.obj, task.adds))
            if latest and task.is_done(latest):
                return _result(task, "skipped", "another loader has loaded it", latest.run)
            day = task.match.date or task.obj.last_modified.date()
            run = begin_run(ledger, task.feed, task.obj, day, transaction)
            try:
                return _Attempt(ledger, connection, client, task, run, on_progress).load()
            except (MediaError, psycopg.Error, OSError) as error:
                if connection.closed:
                    raise
                return _failed(connection, task, run, error)
    except (MediaError, psycopg.Error, OSError) as error:  # OSError: the disk of the temporary files is full
        message = one_sentence(error)
        if run is not None:
            with suppress(MediaError, psycopg.Error), connect(db, "media_loader", autocommit=True) as other:
                end_run(other, run, {"message": message})
        return _result(task, "failed", message, run, failure="outside")


@dataclass(frozen=True, slots=True)
class _Attempt:
    ledger: psycopg.Connection
    """For what is committed at once: a run that fails or is killed keeps it."""
    connection: psycopg.Connection
    """Has the open transaction that holds the object's lock and makes the rows visible."""
    client: S3Client
    task: Task
    run: UUID
    on_progress: OnProgress

    def load(self) -> Result:
        """Loads the whole object, or records why that failed."""
        clients = known_clients(self.connection)
        key_client = self.task.match.client
        if self.task.feed.covers == "span" and key_client is not None and not key_client.strip():
            raise ContentError(
                "its key names no client, which covers: span needs: correct key_pattern in feeds.yml"
            )
        key_client_id = clients.get(client_key(key_client)) if key_client else None
        with (
            closing(open_object(self.client, self.task.obj)) as reader,
            closing(Rejects(self.run)) as rejects,
        ):
            values = {"client_id": key_client_id, "version_id": reader.version_id}
            update_run(self.ledger, self.run, values)
            content = HashingReader(decompressed(reader.stream()))
            return self._load(reader, content, clients, rejects)

    def _load(
        self, reader: ObjectReader, content: HashingReader, clients: dict[str, str], rejects: Rejects
    ) -> Result:
        task = self.task

        def staged(rows: int) -> None:
            self.on_progress(task.obj, reader.position, rows)

        buffered = cast(BinaryIO, io.BufferedReader(content, BUFFER_BYTES))
        modified = task.obj.last_modified.date()
        names = task.feed.names_in_file
        blocks = parse(
            buffered, task.feed, clients=clients, key_client=task.match.client, last_modified=modified
        )
        try:
            with self.connection.transaction():
                try:
                    found = stage(self.connection, self.run, blocks, rejects, names, staged)
                except ContentError as error:
                    raise _UnreadableError(str(error), content.sha256()) from error
                return self._finish(found, rejects, content.sha256())
        except _SameContentError as same:
            return self._record_same_content(same)
        except _RejectedRowsError as error:
            return _failed(self.connection, task, self.run, error, rejects)
        except _UnreadableError as error:
            try:
                self._raise_if_same(error.sha256)
            except _SameContentError as same:
                return self._record_same_content(same)
            return _failed(self.connection, task, self.run, error)

    def _finish(self, staged: Staged, rejects: Rejects, sha256: str) -> Result:
        """Checks the staged content, and writes what else the run leaves."""
        task, total = self.task, staged.rows.total()
        self._raise_if_same(sha256)
        check_rejected_share(task.feed, total, rejects, sha256)
        days = {date.fromisoformat(day) for _, day in staged.rows}
        check_key_date(task, days | rejects.days, sha256)
        write_run_days(self.connection, self.run, staged.rows)
        write_run_keys(self.connection, [(self.run, task.feed, task.match)], known_clients(self.connection))
        if staged.has_row_without_names:
            write_summary_rows(self.connection, self.run, task.feed.names_in_file)
        rejects.write(self.connection)
        others = {"skipped": staged.skipped, "rejected": len(rejects)}
        parts = [f"{count:,} {what}" for what, count in others.items() if count]
        message = ", ".join([counted(total, "row"), *parts])
        values = {
            "status": "success",
            "failure": None,
            "message": message,
            "sha256": sha256,
            "records_loaded": total,
            "records_failed": len(rejects),
            "records_skipped": staged.skipped,
            "run_date": task.match.date or max(days, default=task.obj.last_modified.date()),
        }
        end_run(self.connection, self.run, values)
        return _result(task, "loaded", message, self.run, total, len(rejects))

    def _raise_if_same(self, sha256: str) -> None:
        """Raises _SameContentError if this content counts already, or was retracted.

        A retry of content that counts goes on, with the time at which that was delivered.
        """
        task = self.task
        if task.by_key:
            return
        found = same_content(self.connection, task.places, task.obj, sha256, task.adds)
        if found and not task.retry:
            raise _SameContentError(found[0], found[1], sha256, f"same content as run {found[0]}")
        if retracted := retracted_run(self.connection, task.places, sha256):
            version = f"?versionId={task.obj.version_id}" if task.obj.version_id else ""
            again = f"`media load --key {task.obj.key}{version}` loads it"
            raise _SameContentError(
                *retracted, sha256, f"same content as run {retracted[0]}, which was retracted: {again}"
            )
        if found:
            update_run(self.connection, self.run, {"delivered_at": found[2]})

    def _record_same_content(self, same: _SameContentError) -> Result:
        """Records the attempt only: the run in force keeps its last-modified.

        Otherwise, copying all objects in place (to encrypt them again, say) could put an old file after its
        correction.
        """
        end = {"status": "success", "failure": None, "message": str(same), "sha256": same.sha256}
        day = {"run_date": self.task.match.date or same.run_date}
        end_run(self.connection, self.run, {**end, **day, "same_content_as": same.run})
        return _result(self.task, "same", str(same), self.run)


class _SameContentError(Exception):
    """Rolls the rows back, because the run in force, or one that was retracted, has the same content."""

    def __init__(self, run: UUID, run_date: date, sha256: str, message: str) -> None:
        super().__init__(message)
        self.run, self.run_date, self.sha256 = run, run_date, sha256


class _UnreadableError(ContentError):
    """The content cannot be loaded; carries its sha256."""

    def __init__(self, message: str, sha256: str) -> None:
        super().__init__(message)
        self.sha256 = sha256


class _RejectedRowsError(_UnreadableError):
    """The file fails because of its rejected rows, which are kept."""


def check_rejected_share(feed: Feed, staged: int, rejects: Rejects, sha256: str) -> None:
    """Raises ContentError if more than max_rejected of the rows are bad, or if all are rejected."""
    unknown = rejects.reasons["client"]
    bad = len(rejects) - unknown
    if not feed.tolerates(bad, staged + bad):
        raise _RejectedRowsError(
            f"{bad:,} of {staged + bad:,} rows are bad, more than max_rejected ({feed.max_rejected}) allows;"
            f" the first: {rejects.first.rstrip('.')}; correct the mapping and run `media load --retry`,"
            " or have the file delivered again",
            sha256,
        )
    if len(rejects) and not staged:
        names = ", ".join(repr(name[:60]) for name in list(filter(None, rejects.clients))[:3])
        raise _RejectedRowsError(
            f"no row can be staged: unknown client {names}; add it with `media clients add`, then run"
            " `media load --retry`"
            if names
            else f"no row can be staged; the first: {rejects.first.rstrip('.')}; correct the mapping and run"
            " `media load --retry`, or have the file delivered again",
            sha256,
        )


def check_key_date(task: Task, days: Set[date], sha256: str) -> None:
    """Raises ContentError if key_date is in_file and the date in the key is not one of the file's days."""
    match = task.match
    if task.feed.key_date == "free" or not days or match.date in days:
        return
    said, remedy = f"the key says {match.date}", "format.date"
    if match.date is None:
        text = match.date_text
        said = f"the key says {quoted(text)}, which is not a date" if text else "the key has no date"
        remedy = "key_pattern or format.date" if text else "key_pattern"
    raise _UnreadableError(
        f"{said}, but the rows are of {day_ranges(days)}: correct {remedy} in feeds.yml, then run"
        " `media load --retry`, or have the file delivered again",
        sha256,
    )


def _failed(
    connection: psycopg.Connection, task: Task, run: UUID, error: Exception, rejects: Rejects | None = None
) -> Result:
    """Records the run as failed, with its rejected rows if they are the cause."""
    refused = _database_refusal(error)
    from_content = refused is not None or isinstance(error, ContentError | psycopg.DataError)
    count = len(rejects) if rejects else 0
    message = refused or one_sentence(error)
    end = {"failure": "content" if from_content else "outside", "message": message}
    if isinstance(error, _UnreadableError):
        end["sha256"] = error.sha256
    with connection.transaction():
        if rejects:
            rejects.write(connection, REJECTS_OF_A_FAILED_RUN)
        end_run(connection, run, end | {"records_failed": count})
    return _result(task, "failed", message, run, 0, count, end["failure"])


def _database_refusal(error: Exception) -> str | None:
    """Returns the message if the database refuses a row of the file; another attempt would fail again."""
    violation = isinstance(error, psycopg.errors.CheckViolation | psycopg.errors.NotNullViolation)
    if not (violation and isinstance(error, psycopg.Error) and error.diag.table_name in CONTENT_TABLES):
        return None
    reason = " ".join((error.diag.message_primary or "").split())
    return (
        f"the database refuses a row of this file ({reason}): correct the mapping or the constraint, then run"
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
        task.feed.name, task.obj.uri, status, message, str(run) if run else None, loaded, rejected, failure
    )
