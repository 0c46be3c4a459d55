"""Runs `dbt build` in this process, on the command's database."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import psycopg2  # type: ignore[import-untyped]
from dbt.adapters.factory import get_adapter_by_type
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt_common.exceptions import DbtRuntimeError
from psycopg.rows import dict_row

from loader.agency.clients import find_client
from loader.database import libpq
from loader.database.connection import CHECK_INTERVAL, Database, connect, require_tables
from loader.database.waits import SERVER_PROCESSES
from loader.errors import MediaError
from loader.files.feeds import Feed
from loader.ingestion.settings import sync_feeds
from loader.project import CHECKOUT, require_directory

Progress = Callable[[int, int], None]
"""Called after each node with its number, from 1, and the number of nodes."""

ROWS_SHOWN = 20
CANCEL_SECONDS = 5.0
"""How long an interrupted build waits for dbt to end."""
# The database and its server, as macros/refusals/refuse_other_targets.sql compares them.
IDENTITY = "select concat_ws(' ', current_database(), extract(epoch from pg_postmaster_start_time()))"
# Unit tests check the models, not the data; `make test` runs them.
BUILD = ("--exclude-resource-type", "unit_test")
FAILED = {"error", "fail", "runtime error", "partial success"}


class TransformError(MediaError):
    """dbt ended without results for its nodes."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The result of a dbt node; status is success, pass, warn, error, fail or skipped."""

    name: str
    status: str
    message: str
    seconds: float
    failures: int | None
    rows: int | None = None
    """Of a table: the rows that its last statement wrote."""

    @property
    def failed(self) -> bool:
        """Whether this node makes the build fail."""
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
    """Brings the marts up to date with `dbt build`; returns the results of all nodes, failed ones included.

    If `rebuild_from`, `rebuild_to` or `client` (name or id) is given, the days that match are recomputed even
    if nothing changed. With `progress`, dbt prints nothing. Raises TransformError if dbt ends without
    results, MediaError if an argument is wrong or the database is not migrated.
    """
    with connect(db, "media_transformer", autocommit=True) as connection:
        client_id = client_to_rebuild(connection, rebuild_from, rebuild_to, client)
        identity = connection.execute(IDENTITY).fetchone()
        sync_feeds(connection, feeds)  # the current feeds.yml determines which rows are live
        env = {**db.env, **_session_options(connection)}
    env["PGCLIENTENCODING"] = "UTF8"  # overrides the role's and the database's setting
    # refuse_other_targets.sql compares it with the database that profiles.yml names
    env["MEDIA_TRANSFORMS"] = str(identity and identity[0])
    options = {"rebuild_from": rebuild_from, "rebuild_to": rebuild_to, "rebuild_client": client_id}
    dbt_vars = json.dumps({name: str(value) for name, value in options.items() if value is not None})
    project = os.environ.get("DBT_PROJECT_DIR") or str(CHECKOUT)
    for variable, name in {"DBT_TARGET_PATH": "target", "DBT_LOG_PATH": "logs"}.items():
        require_directory(variable, Path(project, os.environ.get(variable) or name))
    with libpq.environment(env), _profiles() as profiles:
        command = ["build", *BUILD, "--project-dir", project, "--profiles-dir", str(profiles)]
        command += ["--vars", dbt_vars, "--quiet" if progress else "--no-quiet"]
        if not sys.stdout.isatty():
            command.append("--no-use-colors")
        # a new runner each time: reusing its manifest breaks foreign keys
        runner = dbtRunner(callbacks=[_node_callback(progress)] if progress else [])
        done = _invoke(runner, command)
    results = getattr(done.result, "results", None)
    if results is None:
        raise TransformError(f"dbt did not finish: {_reason(done.exception)}")
    return [
        NodeResult(
            result.node.name,
            str(result.status),
            _rows_found(db, result.node.compiled_code)
            if result.status in ("warn", "fail")
            else _one_line(result.message or ""),
            result.execution_time,
            result.failures,
            result.adapter_response.get("rows_affected"),
        )
        for result in results
    ]


def client_to_rebuild(
    connection: psycopg.Connection, rebuild_from: date | None, rebuild_to: date | None, client: str | None
) -> UUID | None:
    """Checks what transform() is asked to recompute; returns the id of the client. Raises MediaError."""
    require_tables(connection)
    if rebuild_from and rebuild_to and rebuild_from > rebuild_to:
        raise MediaError(
            f"the first day to rebuild, {rebuild_from}, is later than the last, {rebuild_to}: swap them"
        )
    return find_client(connection, client) if client else None


def _session_options(connection: psycopg.Connection) -> dict[str, str]:
    """Returns PGOPTIONS that make PostgreSQL end a statement of dbt, too, if our process is killed.

    Returns nothing if the server cannot check that, or if there is a pooler, which would refuse the option.
    """
    interval, pid = connection.execute(
        "select current_setting(%s), pg_backend_pid()", [CHECK_INTERVAL]
    ).fetchone() or ("0", 0)
    if interval == "0" or pid != connection.info.backend_pid:
        return {}
    # lock_timeout is the server's, or what connect() set
    lock_timeout = connection.execute("select current_setting('lock_timeout')").fetchone() or ("1h",)
    options = f"-c {CHECK_INTERVAL}={interval} -c lock_timeout={lock_timeout[0]}"
    return {"PGOPTIONS": f"{options} {os.environ.get('PGOPTIONS', '')}"}


def _invoke(runner: dbtRunner, command: list[str]) -> dbtRunnerResult:
    """Runs dbt in a thread of its own, so that an interrupt reaches this thread at once, and ends dbt then.

    In this thread, dbt would first wait for its statements, and then return the interrupt as a result.
    """
    results: list[dbtRunnerResult] = []
    thread = threading.Thread(target=lambda: results.append(runner.invoke(command)), daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:  # Ctrl-C, or the flow is cancelled
        deadline = time.monotonic() + CANCEL_SECONDS
        while thread.is_alive() and time.monotonic() < deadline:
            _cancel_statements()
            thread.join(0.2)  # dbt goes on with nodes that do not depend on the failed ones
        raise
    return results[0]


def _dbt_connections() -> Iterator[Any]:
    """Yields the open connections of dbt in this process, as psycopg2 has them."""
    with suppress(KeyError):  # dbt has not connected yet
        adapter = get_adapter_by_type("postgres")  # type: ignore[no-untyped-call]
        for connection in list(adapter.connections.thread_connections.values()):
            if connection.state == "open":
                yield connection.handle


def _server_processes() -> list[int]:
    """Returns the ids of the server's processes for dbt's connections."""
    found = []
    for connection in _dbt_connections():
        with suppress(psycopg2.Error):  # closed meanwhile
            found.append(connection.info.backend_pid)
    return found


SERVER_PROCESSES.append(_server_processes)


def _cancel_statements() -> None:
    """Cancels the statements that dbt is running in this process."""
    for connection in _dbt_connections():
        with suppress(psycopg2.Error):  # closed meanwhile
            connection.cancel()


def _node_callback(progress: Progress) -> Callable[[Any], None]:
    """Returns the callback for dbt's events."""

    def on_event(event: Any) -> None:
        if event.info.name.endswith("Result") and getattr(event.data, "total", 0):
            progress(event.data.index, event.data.total)

    return on_event


def _rows_found(db: Database, query: str) -> str:
    """Returns the message of a dbt test that warns or fails: the first rows that its query returns."""
    with connect(db, "media_transformer", autocommit=True) as connection:
        found = connection.cursor(row_factory=dict_row).execute(query.encode()).fetchmany(ROWS_SHOWN + 1)
    rows = [", ".join(f"{name} {value}" for name, value in row.items()) for row in found[:ROWS_SHOWN]]
    return _one_line("; ".join(rows + ["…"] * (len(found) > ROWS_SHOWN)))


def _reason(error: BaseException | None) -> str:
    """Returns dbt's message; if one of our macros refused to build, only what that macro says."""
    if isinstance(error, DbtRuntimeError) and error.stack and error.stack[0].name.startswith("refuse_"):
        return _one_line(error.msg)
    remedy = ""
    if isinstance(error, PermissionError):
        remedy = "; set DBT_TARGET_PATH, DBT_LOG_PATH and DBT_PROFILES_DIR to directories of your own"
    return (_one_line(str(error or "")) or type(error).__name__) + remedy


def _one_line(text: str) -> str:
    return " ".join(text.split())


@contextmanager
def _profiles() -> Iterator[Path]:
    """Yields the directory of profiles.yml: DBT_PROFILES_DIR, the checkout, or a copy of the example."""
    profiles_dir = Path(os.environ.get("DBT_PROFILES_DIR") or CHECKOUT)
    file = profiles_dir / "profiles.yml"
    if os.access(file, os.R_OK):
        yield profiles_dir
    elif profiles_dir != CHECKOUT or file.exists():
        raise MediaError(f"cannot read {file}: set DBT_PROFILES_DIR to the directory of your profiles.yml")
    else:
        with tempfile.TemporaryDirectory(prefix="media-profiles-") as directory:
            shutil.copyfile(CHECKOUT / "profiles.example.yml", Path(directory) / "profiles.yml")
            yield Path(directory)
