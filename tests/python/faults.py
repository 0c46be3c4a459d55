"""Helpers for tests that kill commands: a held lock stops a command at a chosen statement."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from agreement import check_loaded, check_marts
from conftest import MEDIA, S3
from forked import ForkedProcess
from model import Model
from product import BUCKET, Product, fresh_product

from loader.database.server import Server
from loader.project import CHECKOUT

TIMEOUT_SECONDS = 120.0  # when a wait fails the test; a working product needs far less
OTHER_SESSIONS = """
select count(*) as n from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
BLOCKED = OTHER_SESSIONS + " and wait_event_type = 'Lock' and %s = any(pg_blocking_pids(pid))"
WAITING_FOR_MARTS = """
select count(*) as n from pg_locks
where not granted and relation in ('media_ops.marts_lock'::regclass, 'media.weekly_summaries'::regclass)
    and database = (select oid from pg_database where datname = current_database())
"""
MARTS_LOCK = "lock table media_ops.marts_lock in exclusive mode"
CONNECTED_SESSIONS = OTHER_SESSIONS + " and application_name in ('media', 'dbt')"


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    """Polls until `happened` returns true; fails after TIMEOUT_SECONDS."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not happened():
        assert time.monotonic() < end, f"timed out waiting for {what}"
        time.sleep(0.02)


def wait_for_sessions_to_end(product: Product) -> None:
    """Waits until no other session is left: the server notices a killed client with a delay."""
    wait_for("the end of all sessions", lambda: not product.query(OTHER_SESSIONS)[0]["n"])


class RunningCommand:
    """A command in its own process group, with everything that it starts."""

    def __init__(
        self, product: Product, *arguments: str, dbt: bool = False, env: Mapping[str, str] | None = None
    ) -> None:
        """Starts `media`, or dbt itself."""
        self.product, self.arguments = product, arguments
        environment = {**product.env_of(arguments), **(env or {})}
        self.process: ForkedProcess | subprocess.Popen[str]
        if "nightly" not in arguments:
            program = "dbt" if dbt else "media"
            self.process = ForkedProcess(program, arguments, env=environment, directory=CHECKOUT)
            return
        self.process = subprocess.Popen(  # Prefect reads its environment when it is imported
            [MEDIA, *arguments],
            env=environment,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_until(self, what: str, happened: Callable[[], bool]) -> None:
        """Waits for something that must happen before the process ends."""

        def check() -> bool:
            assert self.process.poll() is None, f"{self.arguments} ended before {what}\n{self.output()}"
            return happened()

        wait_for(what, check)

    def wait_until_blocked(self, by: psycopg.Connection[Any]) -> None:
        """Waits until a session is blocked by this connection."""
        self.wait_until(
            "a blocked session", lambda: bool(self.product.query(BLOCKED, by.info.backend_pid)[0]["n"])
        )

    def wait_until_behind_another_build(self) -> None:
        """Waits until a session waits for the lock on the marts."""
        self.wait_until(
            "a session that waits for the marts", lambda: bool(self.product.query(WAITING_FOR_MARTS)[0]["n"])
        )

    def wait_until_connected(self) -> None:
        """Waits until the command is connected, or has ended already."""
        wait_for(
            "a connection",
            lambda: self.process.poll() is not None or bool(self.product.query(CONNECTED_SESSIONS)[0]["n"]),
        )

    def kill(self) -> None:
        """Kills the process, its threads and its children, by SIGKILL."""
        with suppress(ProcessLookupError):  # it has ended already
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def output(self) -> str:
        """Waits for the end; returns the output. Fails on a traceback, except in Prefect's log."""
        output = "\n".join(self.process.communicate(timeout=600))
        assert "Traceback" not in output or "nightly" in self.arguments, output
        return output

    def finish(self, *expect: int) -> str:
        """Waits for the end; checks the exit code (default 0); returns the output."""
        output = self.output()
        assert self.process.returncode in (expect or (0,)), f"exit code {self.process.returncode}\n{output}"
        return output


@contextmanager
def holding(
    product: Product, statement: str, values: Sequence[Any] = ()
) -> Iterator[psycopg.Connection[Any]]:
    """Runs a statement and holds its locks for the duration of the block."""
    with product.connection() as connection:
        connection.autocommit = False
        connection.execute(statement.encode(), values)
        yield connection
        with suppress(psycopg.OperationalError):  # its server was killed
            connection.rollback()


@dataclass(frozen=True)
class Scenario:
    """A product and its model, given the same events."""

    product: Product
    model: Model

    def put(self, key: str, content: bytes, hour: int) -> None:
        """Delivers an object, last modified `hour` hours after the start of March."""
        moment = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        self.model.put(BUCKET, key, content, moment, self.product.put(key, content, moment))

    def expect_failed_load(self, *keys: str, reached: Sequence[str] | None = None) -> None:
        """Models a load in which these keys failed for a cause outside the file, and compares."""
        self.model.load(outage=keys, reached=reached)
        check_loaded(self.model, self.product.tables())

    def expect_load(self) -> None:
        """Models a load that the product has done, and compares the loader's tables."""
        self.model.load()
        check_loaded(self.model, self.product.tables())

    def check_all(self) -> None:
        """Compares all tables."""
        tables = self.product.tables()
        check_loaded(self.model, tables)
        check_marts(self.model, tables)

    def load_and_build(self) -> None:
        """Loads and builds without a fault; the result must be as if there had been none."""
        self.model.load()
        self.product.load()
        self.product.transform()
        self.check_all()

    def runs(self) -> list[tuple[str, str, str | None]]:
        """Returns status, message and kind of failure of every run, oldest first."""
        found = self.product.query("select * from media.ingestion_logs order by run_number")
        return [(row["status"], row["message"], row["failure"]) for row in found]


FEED: dict[str, Any] = {
    "location": f"s3://{BUCKET}/a/",
    "client": {"column": "Advertiser"},
    "columns": {
        "date": "Date",
        "campaign_name": "Campaign",
        "creative_name": "Ad",
        "impressions": "Imps",
        "clicks": "Clicks",
        "conversion_revenue": "Revenue",
    },
}


def rows(count: int, campaign: str = "Spring") -> bytes:
    """Returns a file with `count` rows, for two clients and five days of February."""
    lines = ["Date,Advertiser,Campaign,Ad,Imps,Clicks,Revenue"]
    lines += [
        f"2024-02-{1 + n % 5:02},{('Acme', 'Beta')[n % 2]},{campaign},Ad {n % 7},{n},{n % 3},{n}.5"
        for n in range(count)
    ]
    return "\n".join(lines).encode()


SCENARIO_TEMPLATE = "scenario_template"
"""A template database, loaded and built once per server."""
FIRST = "a/0.csv", rows(20), 1
_models: dict[int, Model] = {}
"""The model of each server's template, by port."""


@contextmanager
def copied_scenario(server: Server, s3: S3, directory: Path) -> Iterator[Scenario]:
    """Yields a scenario, copied from a template: two clients with CPMs, and one file loaded and built."""
    if server.port not in _models:
        with new_scenario(server, s3, directory) as first:
            wait_for_sessions_to_end(first.product)
            with server.connect("postgres") as connection:
                name = first.product.database.env["PGDATABASE"]
                connection.execute(f"create database {SCENARIO_TEMPLATE} template {name}")
        _models[server.port] = first.model
    with fresh_product(server, s3, directory, SCENARIO_TEMPLATE) as opened:
        scenario = Scenario(opened, deepcopy(_models[server.port]))
        opened.feeds(scenario.model.feeds)
        scenario.put(*FIRST)
        yield scenario
        wait_for_sessions_to_end(opened)


@contextmanager
def new_scenario(server: Server, s3: S3, directory: Path) -> Iterator[Scenario]:
    """Yields the same scenario, set up by commands instead of copied, for a server that will crash.

    In a copied database, a sequence can repeat values after a crash: PostgreSQL assumes that it has logged
    them already, but it logged them for the original sequence.
    """
    with fresh_product(server, s3, directory) as opened:
        scenario = Scenario(opened, Model({"a": FEED}))
        opened.feeds(scenario.model.feeds)
        for name in ("Acme", "Beta"):
            client = opened.add_client(name)
            scenario.model.clients[client] = name
            scenario.model.cpms[client, None] = Decimal("2.5000")
            opened.set_cpm(name, Decimal("2.5000"), None)
        scenario.put(*FIRST)
        scenario.load_and_build()
        yield scenario
        wait_for_sessions_to_end(opened)
