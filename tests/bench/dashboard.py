"""A client's dashboard: one client, ninety days, by campaign; with and without row-level security."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from loader.agency.users import add_user
from loader.database.connection import connect
from tests.bench.environment import Bench
from tests.bench.sample import Sample
from tests.bench.table import Line, alternate, progress

FILL = Path(__file__).with_name("dashboard.sql")
CLIENTS, CREATIVES = 200, 100
QUERY = """
select campaign_id, sum(impressions), sum(clicks), sum(conversions), sum(conversion_revenue), sum(spend)
from media.daily_metrics
where date between %(first)s and %(last)s {}
group by campaign_id
"""
REPEATS = 20


def measure(bench: Bench, sample: Sample, runs: int) -> Iterator[Line]:
    """Yields the line for the dashboard; each time is for REPEATS queries."""
    days = max(2 * sample.rows // CLIENTS // CREATIVES, 1)
    db = bench.new_database("dashboard")
    bench.media(db, "transform")
    progress(f"filling daily_metrics with {days * CLIENTS * CREATIVES:,} rows")
    bench.psql(db, "-v", f"days={days}", "-f", str(FILL))
    with closing(connect(db, autocommit=True)) as connection:
        found = connection.execute("select id from media.clients order by id offset 100 limit 1").fetchone()
        assert found is not None
        client: UUID = found[0]
        connection.execute("drop role if exists bench_login")
        add_user(connection, "bench@example.com", "bench", client, "bench_login")
    last = date(2025, 1, 1) + timedelta(days=days - 1)
    values = {"first": last - timedelta(days=89), "last": last, "client": client}
    env = {**db.env, "PGUSER": "bench_login"}
    with (
        closing(connect(db, "media_transformer", autocommit=True)) as owner,
        closing(connect(type(db)("a client", env), autocommit=True)) as reader,
    ):
        by_owner = QUERY.format("and client_id = %(client)s")
        assert _rows(owner, by_owner, values) == _rows(reader, QUERY.format(""), values)
        what, size = f"{REPEATS} dashboard queries of a client", f"{days * CLIENTS * CREATIVES:,} rows"
        floor, ours = alternate(
            what,
            5 * runs,
            lambda: _seconds(owner, by_owner, values),
            lambda: _seconds(reader, QUERY.format(""), values),
        )
    yield Line(what, size, floor, ours, "≤ 1.2")


def _rows(connection: psycopg.Connection, query: str, values: dict[str, object]) -> list[tuple[object, ...]]:
    return sorted(connection.execute(query.encode(), values).fetchall())


def _seconds(connection: psycopg.Connection, query: str, values: dict[str, object]) -> float:
    start = time.perf_counter()
    for _ in range(REPEATS):
        connection.execute(query.encode(), values).fetchall()
    return time.perf_counter() - start
