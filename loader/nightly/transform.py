"""Runs dbt in this process, on the database of the command."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner
from psycopg.rows import dict_row

from loader.agency.clients import find_client
from loader.database import libpq
from loader.database.connection import Database, connect, require_tables
from loader.errors import MediaError
from loader.files.feeds import Feed
from loader.ingestion.ledger import sync_feeds
from loader.project import CHECKOUT

Progress = Callable[[int, int], None]
"""Called after each node: which one it was, of how many."""

ROWS_NAMED = 20
# Unit tests are about the models, not about tonight's figures: `make test` runs them.
BUILD = ("--exclude-resource-type", "unit_test")
FAILED = {"error", "fail", "runtime error", "partial success"}


class TransformError(MediaError):
    """dbt could not start on its work."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one node of dbt: success, pass, warn, error, fail or skipped."""

    name: str
    status: str
    message: str
    seconds: float
    failures: int | None

    @property
    def failed(self) -> bool:
        """Whether the build failed with it."""
        return self.status in FAILED

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


def transform(
    db: Database,
    feeds: Sequence[Feed],
    rebuild_from: date | None = None,
    rebuild_to: date | None = None,
    client: str | None = None,
    progress: Progress | None = None,
) -> list[NodeResult]:
    """Brings the marts up to date by `dbt build`; returns each node's result, failed ones included.

    The dates and the client (name or id) say what is recomputed whether it changed or not. With `progress`,
    dbt itself prints nothing. Raises TransformError where dbt does not get as far as its nodes.
    """
    if rebuild_from and rebuild_to and rebuild_from > rebuild_to:
        raise MediaError(f"there is no day from {rebuild_from} to {rebuild_to}: turn them round")
    with connect(db, "media_transformer", autocommit=True) as connection:
        require_tables(connection)
        identity = str(find_client(connection, client)) if client else None
        sync_feeds(connection, feeds)  # today's feeds.yml decides which rows count
    given = {"rebuild_from": rebuild_from, "rebuild_to": rebuild_to, "rebuild_client": identity}
    options = json.dumps({name: str(value) for name, value in given.items() if value is not None})
    project = os.environ.get("DBT_PROJECT_DIR") or str(CHECKOUT)
    with libpq.replaced(db.env), _profiles() as profiles:
        command = ["build", *BUILD, "--project-dir", project, "--profiles-dir", str(profiles)]
        command += ["--vars", options, "--quiet" if progress else "--no-quiet"]
        if not sys.stdout.isatty():
            command.append("--no-use-colors")
        # a new runner each time: a manifest used twice breaks foreign keys
        done = dbtRunner(callbacks=[_heard(progress)] if progress else []).invoke(command)
    results = getattr(done.result, "results", None)
    if results is None:
        reason = _line(str(done.exception or "")) or type(done.exception).__name__
        raise TransformError(f"dbt did not get to its end: {reason}")
    return [
        NodeResult(
            result.node.name,
            str(result.status),
            _named(db, result.node.compiled_code) if result.status == "warn" else _line(result.message or ""),
            result.execution_time,
            result.failures,
        )
        for result in results
    ]


def _heard(progress: Progress) -> Callable[[Any], None]:
    """Returns what dbt calls with each of its events."""

    def hear(event: Any) -> None:
        if event.info.name.endswith("Result") and getattr(event.data, "total", 0):
            progress(event.data.index, event.data.total)

    return hear


def _named(db: Database, test: str) -> str:
    """Returns what a test warns of: the rows that its query finds, the first of them."""
    with connect(db, "media_transformer", autocommit=True) as connection:
        found = connection.cursor(row_factory=dict_row).execute(test.encode()).fetchmany(ROWS_NAMED + 1)
    rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in found[:ROWS_NAMED]]
    return _line("; ".join(rows + ["…"] * (len(found) > ROWS_NAMED)))


def _line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def _profiles() -> Iterator[Path]:
    """Yields the directory of profiles.yml: the one named, ours, or one made of the example."""
    if named := os.environ.get("DBT_PROFILES_DIR"):
        yield Path(named)
    elif (CHECKOUT / "profiles.yml").exists():
        yield CHECKOUT
    else:
        with tempfile.TemporaryDirectory(prefix="media-profiles-") as directory:
            shutil.copyfile(CHECKOUT / "profiles.example.yml", Path(directory) / "profiles.yml")
            yield Path(directory)
