"""The lock of the nightly flow, and the messages and the page that describe its outcome."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from loader.database.connection import Database, connect, require_tables
from loader.database.migrate import require_writable
from loader.errors import MediaError, one_sentence
from loader.ingestion.task import Result
from loader.names import counted
from loader.nightly.transform import NodeResult

SQL = Path(__file__).parent / "sql"
WORK_LIST = "int_days_to_rebuild"
FAILURES_IN_MESSAGE = 20
"""The failure message contains at most this many failures; the artifacts contain all."""


class NightlyError(MediaError):
    """The nightly flow failed: `sentences` has one for each failed file and node; the message joins them."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(message(sentences))
        self.sentences = sentences


class NightlyLock:
    """The lock that lets only one nightly flow run on a database. It has a connection of its own."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def check(self) -> None:
        """Raises NightlyError if the lock is lost, because someone ended its connection."""
        try:
            self._connection.execute("select 1")
        except psycopg.Error as error:
            raise NightlyError(
                "the connection that holds the lock of the nightly flow was ended, so another nightly flow"
                f" may have started: run `media nightly` again ({one_sentence(error)})"
            ) from error


@contextmanager
def only_nightly_flow(db: Database) -> Iterator[NightlyLock]:
    """Holds the lock of the nightly flow for the length of the block. Raises NightlyError if another has it.

    The lock ends with the process, however that ends.
    """
    with closing(connect(db, "media_loader")) as connection:
        require_tables(connection)
        require_writable(connection)
        try:
            # not nowait: another login can hold it for a moment, with a statement that is then refused
            connection.execute("set local lock_timeout = '3s'")
            connection.execute("lock table media_ops.nightly_flow_lock in exclusive mode")
        except psycopg.errors.LockNotAvailable as error:
            raise NightlyError(
                f"another nightly flow is still running on this database{_holder(db)}: this one did nothing"
            ) from error
        yield NightlyLock(connection)


def _holder(db: Database) -> str:
    """Describes the session that holds the lock of the nightly flow."""
    with closing(
        connect(db, autocommit=True)
    ) as connection:  # as the login: it may see when its sessions began
        found = connection.execute((SQL / "nightly_lock_holder.sql").read_bytes()).fetchone()
    if found is None:
        return ""
    program, login, pid, since = found
    return f" ({program} of {login}, pid {pid}" + (f", since {since:%Y-%m-%d %H:%M} UTC)" if since else ")")


def days_recomputed(nodes: Sequence[NodeResult]) -> int:
    """Returns the number of days, (client, date) pairs, in this build's work list."""
    return sum(node.rows or 0 for node in nodes if (node.name, node.status) == (WORK_LIST, "success"))


def failures(results: Sequence[Result], nodes: Sequence[NodeResult]) -> list[str]:
    """Returns one sentence for each file and each node that failed."""
    files = [f"{result.uri}: {result.message}" for result in results if result.status == "failed"]
    return files + [str(node) for node in nodes if node.failed]


def message(sentences: Sequence[str]) -> str:
    """Joins the first FAILURES_IN_MESSAGE sentences to one message, and counts the rest."""
    left = len(sentences) - FAILURES_IN_MESSAGE
    rest = f"; and {left} more: see `media status`" if left > 0 else ""
    return "; ".join(sentences[:FAILURES_IN_MESSAGE]) + rest


def markdown(
    results: Sequence[Result],
    nodes: Sequence[NodeResult],
    days: int,
    sentences: Sequence[str],
    noticed: Sequence[str] = (),
) -> str:
    """Returns a Markdown page that describes the flow run; see days_recomputed(), failures(), notices()."""
    loaded = [result for result in results if result.status == "loaded"]
    with_rejects = [result for result in results if result.rejected]
    sections = {
        "Failed": [_escaped(sentence) for sentence in sentences],
        "Arrived": [
            f"{_escaped(one.uri)} ({_escaped(one.feed)}): {counted(one.loaded, 'row')}" for one in loaded
        ],
        "Rejected": [f"{_escaped(one.uri)}: {counted(one.rejected, 'row')}" for one in with_rejects],
        "Recomputed": [f"{counted(days, 'day')} (counted per client)"] if days else [],
        "Warnings": [
            *map(_escaped, noticed),
            *(_escaped(str(node)) for node in nodes if node.status == "warn"),
        ],
        "dbt": [f"{counted(len(nodes), 'node')}, {sum(n.failed for n in nodes)} failed"] if nodes else [],
    }
    parts = [
        f"## {name}\n\n" + "\n".join(f"* {line}" for line in lines or ["nothing"])
        for name, lines in sections.items()
    ]
    return "\n\n".join(parts) + "\n"


def _escaped(text: str) -> str:
    """Returns the text on one line, escaped so that Markdown shows it literally."""
    return re.sub(r"([\\`*_\[\]~|])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
