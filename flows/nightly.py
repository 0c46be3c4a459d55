"""The night: load every feed, build what changed, say what happened. Never two at once."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import psycopg
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.schedules import CronSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.annotations import opaque

from loader.console import opened
from loader.database.connection import Database
from loader.errors import MediaError, one_sentence
from loader.files.feeds import Feed, read_feeds
from loader.ingestion.ingest import Result, Task, ingest
from loader.ingestion.load import plan
from loader.ingestion.s3 import connect_s3
from loader.nightly import night
from loader.nightly.transform import NodeResult, transform
from loader.project import feeds_file

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 2
RETRY_SECONDS = [10.0, 60.0]
SERVER_SECONDS = 120
PORT = 4200
"""Prefect's own; another one if it is taken."""


class _OneSentence(logging.Filter):
    """Keeps the tracebacks of errors that people are meant to read out of Prefect's logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], MediaError):
            record.exc_info = None
        return True


for _name in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_name).addFilter(_OneSentence())


class FileError(MediaError):
    """A file could not be loaded."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.uri}: {result.message}")
        self.result = result


class BuildError(MediaError):
    """Nodes of dbt failed."""

    def __init__(self, nodes: list[NodeResult]) -> None:
        super().__init__(night.message(night.failures([], nodes)))
        self.nodes = nodes


async def _from_outside(_task: Any, _run: Any, state: Any) -> bool:
    """Says whether another try may help: where the file itself is wrong it does not."""
    error = await state.aresult(raise_on_failure=False)
    return not isinstance(error, FileError) or error.result.failure == "outside"


@task(
    task_run_name="load {uri}",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=_from_outside,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def load_object(uri: str, db: Database, client: S3Client, what: Task) -> Result:
    """Loads one object; FileError where that fails."""
    result = ingest(db, client, what)
    if result.status == "failed":
        raise FileError(result)
    return result


@task(cache_policy=NO_CACHE, persist_result=False)
def build(db: Database, feeds: Sequence[Feed]) -> list[NodeResult]:
    """Runs dbt once; BuildError where a node fails."""
    nodes = transform(db, feeds)
    if any(node.failed for node in nodes):
        raise BuildError(nodes)
    return nodes


RUNNER: Any = ThreadPoolTaskRunner(max_workers=WORKERS)


@flow(name="nightly", task_runner=RUNNER, persist_result=False)
def nightly() -> None:
    """Loads what is new, and what has rejects whose client is now known; then builds, even if a file failed.

    Raises NightError with every file and node that failed.
    """
    with opened() as db, night.only_night(db):
        feeds = read_feeds(feeds_file())
        results = _load(db, feeds)
        nodes, wrong = _build(db, feeds)
        days = night.days_recomputed(db, nodes)
        wrong = night.failures(results, nodes) + wrong
        _publish(results, nodes, days, wrong)
    if wrong:
        raise night.NightError(*wrong)


def _load(db: Database, feeds: Sequence[Feed]) -> list[Result]:
    client = connect_s3()
    tasks, results = plan(db, client, feeds, retry="clients")
    # opaque: Prefect is not to search them for the results of other tasks
    submit: Any = load_object.submit
    futures = [submit(one.thing.uri, opaque(db), opaque(client), opaque(one)) for one in tasks]
    for one, future in zip(tasks, futures, strict=True):
        found: Any = future.result(raise_on_failure=False)
        if isinstance(found, FileError):
            found = found.result
        elif not isinstance(found, Result):
            found = Result(one.feed.name, one.thing.uri, "failed", f"{found}", failure="outside")
        results.append(found)
    return results


def _build(db: Database, feeds: Sequence[Feed]) -> tuple[list[NodeResult], list[str]]:
    """Returns what became of the nodes, and why there are none, if so."""
    try:
        return build(db, opaque(feeds)), []
    except BuildError as error:
        return error.nodes, []
    except (MediaError, psycopg.Error) as error:
        return [], [one_sentence(error)]


def _publish(results: Sequence[Result], nodes: Sequence[NodeResult], days: int, wrong: Sequence[str]) -> None:
    create_markdown_artifact(night.markdown(results, nodes, days, wrong), "night", "The night")
    files = [asdict(result) for result in results]
    create_table_artifact(files, "night-files", "What became of each file")
    states = [
        {"node": one.name, "state": one.status, "seconds": round(one.seconds, 2), "message": one.message}
        for one in nodes
    ]
    create_table_artifact(states, "night-dbt-nodes", "What became of each node of dbt")


def serve(cron: str = "0 5 * * *") -> None:
    """Runs the night on a schedule, in UTC, until stopped; ValueError where `cron` is none.

    Scheduling needs a real server: without PREFECT_API_URL, one of our own runs for as long.
    """
    CronSchedule(cron=cron, timezone="UTC")
    # Until Prefect's runner has a handler of its own. An exception would interrupt asyncio as it starts.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if PREFECT_API_URL.value():
        _serve(cron)
        return
    with _server() as url, temporary_settings({PREFECT_API_URL: url}):
        print(f"Prefect's server: {url.removesuffix('/api')}", flush=True)
        _serve(cron)


def _serve(cron: str) -> None:
    # by its module: a path would have to lie below the directory that we happen to be in
    nightly.serve(name="nightly", cron=cron, limit=1, entrypoint_type=EntrypointType.MODULE_PATH)


@contextmanager
def _server() -> Iterator[str]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    # in a session of its own: Ctrl-C is for us, who still need it to say good-bye
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)

    def end() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()

    def end_both(*_: object) -> None:
        end()  # the server must not outlive us
        os._exit(0)

    signal.signal(signal.SIGTERM, end_both)
    try:
        _await(process, f"{url}/health")
        yield url
    finally:
        end()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise MediaError("Prefect's server did not start: run `prefect server start` to see why")


def _free_port() -> int:
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise MediaError("no port is free for Prefect's server")
