"""Lists rejected rows and retracts runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg

from loader.errors import MediaError
from loader.ingestion.ledger import object_lock, retract_version


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that could not be staged."""

    run: str
    uri: str
    line: int
    reason: str
    sentence: str
    raw: str


def rejects(connection: psycopg.Connection, run: str | None = None) -> Iterator[RejectedRow]:
    """Yields the rejected rows of a run, or of all files that wait for --retry, a block at a time.

    `run` is an id or its last characters; raises MediaError if there is no such run.
    """
    if run:
        run_ids = [find_run(connection, run)]
    else:
        waiting = connection.execute("select run_id from media_ops.runs_waiting_for_retry").fetchall()
        run_ids = [run_id for (run_id,) in waiting]
    query = """
        select
            rejected_rows.run_id::text, ingestion_logs.object_uri, rejected_rows.line_number,
            rejected_rows.reason, rejected_rows.sentence, rejected_rows.raw_line
        from media_ops.rejected_rows
        inner join media.ingestion_logs on ingestion_logs.id = rejected_rows.run_id
        where rejected_rows.run_id = any(%s)
        order by ingestion_logs.run_number, rejected_rows.line_number
    """
    with connection.transaction(), connection.cursor(name="rejects") as cursor:
        cursor.itersize = 1_000
        for row in cursor.execute(query, [run_ids]):
            yield RejectedRow(*row)


def retract(connection: psycopg.Connection, run: str) -> tuple[str, bool]:
    """Retracts a run (an id, or its last characters), and every other run of the same key and content.

    Their rows no longer count. Returns the object's URI, and whether the run was not retracted before. Waits
    for a loader of the object. Raises MediaError if there is no such run, or if it staged nothing.
    """
    run_id = find_run(connection, run)
    found = connection.execute(
        "select object_uri, bucket, object_key, status, same_content_as from media.ingestion_logs"
        " where id = %s",
        [run_id],
    ).fetchone()
    assert found is not None
    uri, bucket, key, status, same_content_as = found
    if status != "success":
        raise MediaError(f"run {run_id} failed and staged no rows: there is nothing to retract")
    if same_content_as is not None:
        raise MediaError(
            f"run {run_id} staged no rows, because run {same_content_as} has the same content:"
            " retract that run"
        )
    with object_lock(connection, bucket, key):
        return str(uri), retract_version(connection, run_id)


def find_run(connection: psycopg.Connection, text: str) -> UUID:
    """Returns the id of the one run that starts or ends with `text`. Raises MediaError if there is none."""
    part = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f-]{4,36}", part):
        raise MediaError(f"{text[:60]!r} is not a run's id: give the id, or its last four or more characters")
    found = connection.execute(
        "select id from media.ingestion_logs where id::text like any (%s) order by run_number limit 2",
        [[f"{part}%", f"%{part}"]],  # ids start with the time: those of one minute start alike
    ).fetchall()
    if not found:
        raise MediaError(f"there is no run {text}: see `media status`")
    if len(found) > 1:
        raise MediaError(f"more than one run's id starts or ends with {text}: give the whole id")
    run_id: UUID = found[0][0]
    return run_id
