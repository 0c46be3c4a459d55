"""What was loaded: rejected rows, and taking a run back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

import psycopg

from loader.errors import MediaError
from loader.ingestion.ledger import retract_run


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One row that could not be staged."""

    run: str
    uri: str
    line: int
    reason: str
    sentence: str
    raw: str


def rejects(connection: psycopg.Connection, run: str | None = None) -> list[RejectedRow]:
    """Returns the rejected rows of a run, or of all files that wait for --retry."""
    if run:
        which = [find_run(connection, run)]
    else:
        waiting = connection.execute("select run_id from media_ops.runs_waiting_for_retry").fetchall()
        which = [found for (found,) in waiting]
    found = connection.execute(
        """
        select
            rejected_rows.run_id::text, ingestion_logs.object_uri, rejected_rows.line_number,
            rejected_rows.reason, rejected_rows.sentence, rejected_rows.raw_line
        from media_ops.rejected_rows
        inner join media.ingestion_logs on ingestion_logs.id = rejected_rows.run_id
        where rejected_rows.run_id = any(%s)
        order by ingestion_logs.run_number, rejected_rows.line_number
        """,
        [which],
    ).fetchall()
    return [RejectedRow(*row) for row in found]


def retract(connection: psycopg.Connection, run: str) -> str:
    """Takes a run back: its rows no longer count, the key's previous run does again. Returns its URI.

    A run that is retracted already stays so; MediaError where there is nothing to take back.
    """
    identity = find_run(connection, run)
    with connection.transaction():
        found = connection.execute(
            "select object_uri, status, same_content_as from media.ingestion_logs where id = %s for update",
            [identity],
        ).fetchone()
        assert found is not None
        uri, outcome, same = found
        if outcome != "success":
            raise MediaError(f"run {identity} failed and staged nothing: there is nothing to retract")
        if same is not None:
            raise MediaError(
                f"run {identity} staged nothing, its content is that of run {same}: retract that one"
            )
        retract_run(connection, identity)
    return str(uri)


def find_run(connection: psycopg.Connection, text: str) -> UUID:
    """Returns the id of the run that begins like this; MediaError where none does, or more than one."""
    prefix = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f-]{4,36}", prefix):
        raise MediaError(
            f"{text[:60]!r} is no run: give its id, or the first characters of it (four or more)"
        )
    found = connection.execute(
        "select id from media.ingestion_logs where id::text like %s order by run_number limit 2",
        [prefix + "%"],
    ).fetchall()
    if not found:
        raise MediaError(f"there is no run {text}: see `media status`")
    if len(found) > 1:
        raise MediaError(f"more than one run begins with {text}: give more of its id")
    identity: UUID = found[0][0]
    return identity
