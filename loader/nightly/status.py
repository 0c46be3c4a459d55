"""Reads what `media status` shows: the last runs, and which days and files are waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import psycopg

from loader.nightly.models import model_query
from loader.nightly.notices import Notice, notices

SQL = Path(__file__).parent / "sql"


@dataclass(frozen=True, slots=True)
class Run:
    """One row of ingestion_logs; status is success, failed, running or retracted."""

    id: str
    feed: str
    file: str
    status: str
    started_at: datetime
    loaded: int
    rejected: int
    message: str | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """Latest day and last load (UTC) of a feed; None if it has no run that counts."""

    feed: str
    latest_day: date | None
    last_load: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """What `media status` shows."""

    runs: list[Run]
    feeds: list[Freshness]
    days_waiting: int
    clients_without_cpm: list[str]
    rejected_rows: int
    files_waiting_for_retry: int
    notices: list[Notice]


def status(connection: psycopg.Connection, limit: int = 20) -> Status:
    """Returns the last `limit` runs, each feed's freshness, and what is waiting."""
    runs = connection.execute((SQL / "last_runs.sql").read_bytes(), {"limit": limit}).fetchall()
    feeds = connection.execute((SQL / "freshness.sql").read_bytes()).fetchall()
    unpriced = connection.execute((SQL / "clients_without_cpm.sql").read_bytes()).fetchall()
    waiting = connection.execute(
        "select count(*), coalesce(sum(records_failed), 0) from media_ops.runs_waiting_for_retry"
    ).fetchone()
    assert waiting is not None
    return Status(
        [Run(*row) for row in runs],
        [Freshness(*row) for row in feeds],
        days_waiting(connection),
        [name for (name,) in unpriced],
        int(waiting[1]),
        waiting[0],
        notices(connection),
    )


def days_waiting(connection: psycopg.Connection) -> int:
    """Returns how many days, (client, date) pairs, the next `media transform` recomputes."""
    query = (SQL / "days_waiting.sql").read_text().format(int_days_staged=model_query("int_days_staged"))
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return int(found[0])
