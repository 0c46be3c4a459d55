"""What goes wrong, from outside: processes killed where a lock holds them, and what they leave behind."""

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
from conftest import DBT, MEDIA, S3
from model import Model
from product import BUCKET, Product, product

from loader.database.server import Server
from loader.project import CHECKOUT

PATIENCE_SECONDS = 120.0  # before a test gives up on what never comes; none waits so long in a sound product
OTHERS = """
select count(*) as n from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
BLOCKED = OTHERS + " and wait_event_type = 'Lock' and %s = any(pg_blocking_pids(pid))"
FOR_MARTS = """
select count(*) as n from pg_locks
where locktype = 'advisory' and not granted and objid = (hashtext('media marts')::bigint & 4294967295)::oid
    and database = (select oid from pg_database where datname = current_database())
"""
MARTS_LOCK = "select pg_advisory_xact_lock(hashtext('media marts'))"
CONNECTED = OTHERS + " and application_name in ('media', 'dbt')"


def wait_for(what: str, happened: Callable[[], bool]) -> None:
    """Poll until something has happened."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


def settle(product: Product) -> None:
    """Wait until nobody works on the database: the server notices a killed client a moment later."""
    wait_for("the end of all sessions", lambda: not product.query(OTHERS)[0]["n"])


class Victim:
    """A command in a process of its own, with all that it starts in its session."""

    def __init__(
        self, product: Product, *arguments: str, dbt: bool = False, env: Mapping[str, str] | None = None
    ) -> None:
        """Start `media`, or dbt itself."""
        self.product, self.arguments = product, arguments
        self.process = subprocess.Popen(
            [DBT if dbt else MEDIA, *arguments],
            env={**product.env_of(arguments), **(env or {})},
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait for something that must come before the process ends."""

        def check() -> bool:
            assert self.process.poll() is None, f"{self.arguments} ended before: {what}\n{self.said()}"
            return happened()

        wait_for(what, check)

    def until_blocked(self, by: psycopg.Connection[Any]) -> None:
        """Wait until a session waits for what this connection holds."""
        self.until("a wait", lambda: bool(self.product.query(BLOCKED, by.info.backend_pid)[0]["n"]))

    def until_behind_another_build(self) -> None:
        """Wait until a session waits for the lock of the marts."""
        self.until("a wait for the marts", lambda: bool(self.product.query(FOR_MARTS)[0]["n"]))

    def until_connected(self) -> None:
        """Wait until a session of the product is there, or the process has been faster than that."""
        wait_for(
            "a connection",
            lambda: self.process.poll() is not None or bool(self.product.query(CONNECTED)[0]["n"]),
        )

    def kill(self) -> None:
        """Kill the process, its threads and its children, by SIGKILL."""
        with suppress(ProcessLookupError):  # nothing of it is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def said(self) -> str:
        """Wait for the end; return all that was said, which holds no traceback but Prefect's, in its log."""
        said = "\n".join(self.process.communicate(timeout=600))
        assert "Traceback" not in said or "nightly" in self.arguments, said
        return said

    def ends(self, *expect: int) -> str:
        """Wait for the end; check the exit code, return what was said."""
        said = self.said()
        assert self.process.returncode in (expect or (0,)), f"→ {self.process.returncode}\n{said}"
        return said


@contextmanager
def holding(
    product: Product, statement: str, values: Sequence[Any] = ()
) -> Iterator[psycopg.Connection[Any]]:
    """Hold what a statement locks, as long as the block lasts."""
    with product.connection() as connection:
        connection.autocommit = False
        connection.execute(statement.encode(), values)
        yield connection
        with suppress(psycopg.OperationalError):  # its server was killed
            connection.rollback()


@dataclass(frozen=True)
class World:
    """A product and the model of it, told the same."""

    product: Product
    model: Model

    def put(self, key: str, content: bytes, hour: int) -> None:
        """Deliver an object, so many hours after the first of March."""
        moment = datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=hour)
        self.model.put(BUCKET, key, content, moment, self.product.put(key, content, moment))

    def failed(self, *keys: str, reached: Sequence[str] | None = None) -> None:
        """Tell the model of a load in which these keys failed for a cause outside; compare."""
        self.model.load(outage=keys, reached=reached)
        check_loaded(self.model, self.product.tables())

    def loaded(self) -> None:
        """Tell the model of a load that has happened; compare what the loader owns."""
        self.model.load()
        check_loaded(self.model, self.product.tables())

    def agree(self) -> None:
        """Compare everything."""
        tables = self.product.tables()
        check_loaded(self.model, tables)
        check_marts(self.model, tables)

    def night(self) -> None:
        """The next night completes, and leaves what an undisturbed one would have left."""
        self.model.load()
        self.product.load()
        self.product.transform()
        self.agree()

    def log(self) -> list[tuple[str, str, str | None]]:
        """List status, kind of failure and message of every attempt, oldest first."""
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
    """Write a file of so many rows, on some days of February for two clients."""
    lines = ["Date,Advertiser,Campaign,Ad,Imps,Clicks,Revenue"]
    lines += [
        f"2024-02-{1 + n % 5:02},{('Acme', 'Beta')[n % 2]},{campaign},Ad {n % 7},{n},{n % 3},{n}.5"
        for n in range(count)
    ]
    return "\n".join(lines).encode()


BEGUN = "world_begun"
"""A database after a world's first night; each server has one, and the model of it is kept."""
FIRST = "a/0.csv", rows(20), 1
_models: dict[int, Model] = {}


@contextmanager
def a_world(server: Server, s3: S3, directory: Path) -> Iterator[World]:
    """Give a world of two clients with rates, one file of which is loaded and built: a copy of the first."""
    if server.port not in _models:
        with a_new_world(server, s3, directory) as first:
            settle(first.product)
            with server.connect("postgres") as connection:
                name = first.product.database.env["PGDATABASE"]
                connection.execute(f"create database {BEGUN} template {name}")
        _models[server.port] = first.model
    with product(server, s3, directory, BEGUN) as opened:
        world = World(opened, deepcopy(_models[server.port]))
        opened.feeds(world.model.feeds)
        world.put(*FIRST)
        yield world
        settle(opened)


@contextmanager
def a_new_world(server: Server, s3: S3, directory: Path) -> Iterator[World]:
    """Give the same made by commands, for a server that will crash.

    A copied sequence gives the same values again after a crash: PostgreSQL takes its next values for logged,
    but they were logged for the original.
    """
    with product(server, s3, directory) as opened:
        world = World(opened, Model({"a": FEED}))
        opened.feeds(world.model.feeds)
        for name in ("Acme", "Beta"):
            client = opened.add_client(name)
            world.model.clients[client] = name
            world.model.rates[client, None] = Decimal("2.5000")
            opened.set_rate(name, Decimal("2.5000"), None)
        world.put(*FIRST)
        world.night()
        yield world
        settle(opened)
