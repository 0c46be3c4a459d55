"""The nightly flow: loads every feed, runs one dbt build, publishes artifacts. Two flows never overlap."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import psycopg
from prefect import flow, get_run_logger, runtime, task
from prefect import serve as serve_deployments
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import Abort, MissingContextError, TerminationSignal
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    temporary_settings,
)
from prefect.states import Failed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.annotations import allow_failure, opaque

from loader.console import exit_interrupted, open_database
from loader.database.connection import Database, connect
from loader.errors import MediaError, one_sentence
from loader.files.feeds import Feed, read_feeds
from loader.ingestion.ingest import ingest
from loader.ingestion.load import by_key, plan
from loader.ingestion.s3 import connect_s3
from loader.ingestion.task import Result, Task
from loader.nightly.notices import notices, with_notices
from loader.nightly.outcome import (
    NightlyError,
    days_recomputed,
    failures,
    markdown,
    message,
    only_nightly_flow,
)
from loader.nightly.transform import NodeResult, client_to_rebuild, transform
from loader.project import feeds_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 2
RETRY_SECONDS = [10.0, 60.0]
SERVER_SECONDS = 120
EXIT_SECONDS = 2.0
"""After a cancel, the process exits this much later at the latest."""
PORT = 4200
"""Prefect's default port; if it is taken, a free one is used."""


class _NoTraceback(logging.Filter):
    """Removes the traceback of MediaErrors from Prefect's logs: their message is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], MediaError):
            record.exc_info = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_NoTraceback())


class FileError(MediaError):
    """A file could not be loaded; `result` says why."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.uri}: {result.message}")
        self.result = result


class BuildError(MediaError):
    """Nodes of the dbt build failed; `nodes` has all results."""

    def __init__(self, nodes: list[NodeResult]) -> None:
        super().__init__(message(failures([], nodes)))
        self.nodes = nodes


async def _is_retryable(_task: Any, _run: Any, state: Any) -> bool:
    """Returns whether to retry a failed load: not if the file itself is at fault."""
    error = await state.aresult(raise_on_failure=False)
    return not isinstance(error, FileError) or error.result.failure == "outside"


@task(
    task_run_name="load {uri}",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=_is_retryable,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def load_object(uri: str, db: Database, client: S3Client, planned: Task) -> Result:
    """Loads one object (`uri` is for the task's name). Raises FileError if that fails."""
    result = ingest(db, client, planned)
    if result.status == "failed":
        raise FileError(result)
    return result


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What to recompute even if nothing changed: see transform()."""

    first: date | None
    last: date | None
    client: str | None


@task(cache_policy=NO_CACHE, persist_result=False)
def build(db: Database, feeds: Sequence[Feed], rebuild: Rebuild) -> list[NodeResult]:
    """Runs `dbt build` once and returns the results of all nodes. Raises BuildError if a node fails."""
    nodes = transform(db, feeds, rebuild.first, rebuild.last, rebuild.client)
    if any(node.failed for node in nodes):
        raise BuildError(nodes)
    return nodes


TASK_RUNNER: Any = ThreadPoolTaskRunner(max_workers=WORKERS)


# Prefect's own validation would fail the flow with a message of several lines.
@flow(name="nightly", task_runner=TASK_RUNNER, persist_result=False, validate_parameters=False)
def nightly(
    feed: str | None = None,
    key: str | None = None,
    retry: bool = False,
    rebuild_from: date | None = None,
    rebuild_to: date | None = None,
    client: str | None = None,
) -> None:
    """Loads new files, and files whose unknown client is now known; then builds, even if a file failed.

    Raises NightlyError, which names every file and node that failed, or a MediaError before it does anything
    if a parameter is wrong.

    Args:
        feed: Load only this feed.
        key: Load only this object, even if it is already loaded.
        retry: Also load files that failed or have rejected rows.
        rebuild_from: Recompute the days from this one on, even if nothing changed.
        rebuild_to: Recompute the days up to this one, even if nothing changed.
        client: Recompute only this client's days, even if nothing changed (name or id).
    """
    for name, value in {"feed": feed, "key": key, "client": client}.items():
        if not isinstance(value, str | None):
            raise MediaError(f"{name} is {value!r}: give a text")
    if not isinstance(retry, bool):
        raise MediaError(f"retry is {retry!r}: give true or false")
    rebuild = Rebuild(_day("rebuild_from", rebuild_from), _day("rebuild_to", rebuild_to), client or None)
    with (
        _saying_what_failed(),
        open_database(report=_warning()) as db,
        only_nightly_flow(db) as lock,
        _exiting_soon(),
    ):
        feeds = read_feeds(feeds_file())
        with connect(db, "media_transformer", autocommit=True) as connection:
            client_to_rebuild(connection, rebuild.first, rebuild.last, rebuild.client)  # before loading
        results = _load(db, feeds, feed or None, key or None, "all" if retry else "clients")
        with connect(db, "media_loader", autocommit=True) as connection:
            found = notices(connection)
            results = with_notices(connection, results, found)
            noticed = [notice.sentence for notice in found]
        if warn := _warning():
            for sentence in noticed:
                warn(sentence)
        lock.check()
        nodes, build_failures = _build(db, feeds, rebuild)
        days = days_recomputed(nodes)
        sentences = failures(results, nodes) + build_failures
        _publish(results, nodes, days, sentences, noticed)
        lock.check()
    if sentences:
        raise NightlyError(*sentences)


def _warning() -> Callable[[str], None] | None:
    """Returns the function that logs a warning in the flow run; None outside a flow run."""
    try:
        return get_run_logger().warning
    except MissingContextError:
        return None


def _day(name: str, value: date | str | None) -> date | None:
    """Returns the day that a parameter of the flow names; Prefect passes it as a string."""
    if isinstance(value, date) or not value:
        return value or None
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise MediaError(f"{name} is {value!r}, which is not a date: write it as 2025-01-31") from error


@contextmanager
def _saying_what_failed() -> Iterator[None]:
    """Makes the failure message of the flow one sentence, also if PostgreSQL or this machine failed."""
    try:
        yield
    except (psycopg.Error, OSError) as error:
        raise NightlyError(one_sentence(error)) from error


@contextmanager
def _exiting_soon() -> Iterator[None]:
    """Ends this process EXIT_SECONDS after the flow is cancelled.

    Prefect waits for the threads that load files, and those for S3 and PostgreSQL. PostgreSQL rolls back what
    a process leaves unfinished.
    """
    try:
        yield
    except (TerminationSignal, KeyboardInterrupt):
        timer = Timer(EXIT_SECONDS, exit_interrupted)
        timer.daemon = True
        timer.start()
        raise


def _load(db: Database, feeds: Sequence[Feed], feed: str | None, key: str | None, retry: str) -> list[Result]:
    client = connect_s3()
    tasks, results = plan(db, client, feeds, feed, key, retry)
    submit: Any = load_object.submit
    futures = []
    for group in by_key(tasks):
        before: list[Any] = []  # the versions of one key load one after the other
        for planned in group:
            # opaque: keeps Prefect from searching the arguments for results of other tasks
            values = (planned.obj.uri, opaque(db), opaque(client), opaque(planned))
            before = [submit(*values, wait_for=[allow_failure(one) for one in before])]
            futures.append((planned, before[0]))
    for planned, future in futures:
        found: Any = future.result(raise_on_failure=False)
        if isinstance(found, FileError):
            found = found.result
        elif not isinstance(found, Result):
            found = Result(planned.feed.name, planned.obj.uri, "failed", f"{found}", failure="outside")
        results.append(found)
    return results


def _build(db: Database, feeds: Sequence[Feed], rebuild: Rebuild) -> tuple[list[NodeResult], list[str]]:
    """Returns the results of the nodes, and the failure that left none, if any."""
    try:
        return build(db, opaque(feeds), rebuild), []
    except BuildError as error:
        return error.nodes, []
    except (MediaError, psycopg.Error) as error:
        return [], [one_sentence(error)]


def _publish(
    results: Sequence[Result],
    nodes: Sequence[NodeResult],
    days: int,
    sentences: Sequence[str],
    noticed: Sequence[str],
) -> None:
    page = markdown(results, nodes, days, sentences, noticed)
    create_markdown_artifact(page, "nightly", "Summary of the flow run")
    files = [asdict(result) for result in results]
    create_table_artifact(files, "nightly-files", "Result of each file")
    states = [
        {"node": node.name, "state": node.status, "seconds": round(node.seconds, 2), "message": node.message}
        for node in nodes
    ]
    create_table_artifact(states, "nightly-dbt-nodes", "Result of each dbt node")


def _fail_if_a_parameter_is_unknown() -> None:
    """Fails the flow run that this process was started for, if the flow lacks one of its parameters.

    Prefect compares the names before the flow begins, and would end the process with a traceback.
    """
    run = runtime.flow_run
    if not os.environ.get("PREFECT__FLOW_RUN_ID") or run.flow_name != nightly.name:
        return
    known = nightly.parameters.properties
    unknown = ", ".join(sorted(run.parameters.keys() - known.keys()))
    if unknown:
        message = f"the nightly flow has no parameter {unknown}; its parameters are: {', '.join(known)}"
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run.id, Failed(message=message), force=True)
        raise Abort(message)


_fail_if_a_parameter_is_unknown()


def serve(cron: str = "0 5 * * *") -> None:
    """Runs the flow on a schedule in UTC until stopped. Raises ValueError if `cron` is not a cron expression.

    Scheduling needs a Prefect server: without PREFECT_API_URL, one is started for as long as this runs.
    """
    CronSchedule(cron=cron, timezone="UTC")
    # Until Prefect's runner installs its own handler. Exit directly: an exception would interrupt asyncio.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if PREFECT_API_URL.value():
        _serve(cron)
        return
    login, file = _login()
    with _server(login) as url, temporary_settings({PREFECT_API_URL: url, PREFECT_API_AUTH_STRING: login}):
        print(
            f"Prefect server: {url.removesuffix('/api')} (it asks for the login that is in {file})",
            flush=True,
        )
        _serve(cron)


def _serve(cron: str) -> None:
    # by module, because a path would have to be below the current directory
    deployment: Any = nightly.to_deployment("nightly", cron=cron, entrypoint_type=EntrypointType.MODULE_PATH)
    # nightly.serve() would not tell the flow run's process its id: see _fail_if_a_parameter_is_unknown()
    try:
        serve_deployments(deployment, limit=1)
    except BaseExceptionGroup as group:
        # Prefect's handler of SIGTERM raises SystemExit, in whichever of its tasks is running
        if group.split(SystemExit)[1]:
            raise


def _login() -> tuple[str, Path]:
    """Returns the server's login, USER:PASSWORD, and the file that holds it, readable by this user only."""
    home = PREFECT_HOME.value()
    (home / "prefect.db").touch()
    (home / "prefect.db").chmod(0o600)  # an older server created it readable for everyone
    file = home / "media-serve-login"
    if not file.exists():
        with os.fdopen(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as stream:
            stream.write(f"media:{secrets.token_urlsafe(24)}")
    return file.read_text(), file


@contextmanager
def _server(login: str) -> Iterator[str]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    settings = {
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url.removesuffix("/api"),
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    # in its own session, so that Ctrl-C does not stop it before the runner has shut down
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **settings},
        umask=0o077,
    )

    def stop() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()

    def stop_and_exit(*_: object) -> None:
        stop()  # the server must not outlive us
        os._exit(0)

    signal.signal(signal.SIGTERM, stop_and_exit)
    try:
        _wait_until_ready(process, f"{url}/health")
        yield url
    finally:
        stop()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise MediaError("the Prefect server did not start: run `prefect server start` to see why")


def _free_port() -> int:
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise MediaError("no port is free for the Prefect server")
