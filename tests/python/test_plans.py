"""The work of a build must grow neither with the history nor with the square of what is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import S3
from product import Product, fresh_product
from test_load import FEED

from loader.database.server import Server

CLIENTS = [f"Client {number}" for number in range(10)]
NAMES = [f"{level}_name" for level in ("campaign", "strategy", "placement", "creative")]
HEADER = ["Date", "Advertiser", "Campaign", "Strategy", "Placement", "Creative", "Imps"]
FIRST_DAY, DAYS, DAYS_PER_FILE = date(2024, 2, 1), 400, 10
HISTORY = 5 * DAYS * len(CLIENTS)
QUERIES = ("models/[im]*/**/*.sql", "tests/**/*.sql")
"""All but the staging models, which are views."""
OF_NAMES = ("**/int_names_staged.sql", "**/daily_metrics.sql")
READS_SO_FAR = """
select schemaname || '.' || relname as name, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows
from pg_stat_user_tables where schemaname like 'media%'
"""


def names(count: int) -> list[str]:
    """Returns the names of some creatives, each with those of the levels above it."""
    return [f"C{number % 5},S{number // 5 % 5},P{number // 25 % 5},X{number}" for number in range(count)]


def put(product: Product, days: Sequence[date], clients: Sequence[str], creatives: int) -> None:
    """Puts one file with a row for each day, client and creative."""
    rows = [f"{day},{client},{path},7" for day in days for client in clients for path in names(creatives)]
    key = f"ttd/{days[0]}.csv"
    product.put(key, "\n".join([",".join(HEADER), *rows, ""]).encode(), datetime(2025, 6, 1, tzinfo=UTC))


def steps(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yields every step of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from steps(child)


def rows_handled(step: Mapping[str, Any]) -> float:
    """Returns how many rows a step returned or removed, in all of its loops."""
    removed = sum(value for name, value in step.items() if name.startswith("Rows Removed"))
    return float(step["Actual Loops"] * (step["Actual Rows"] + removed))


def too_much_work(
    product: Product, limit: int, files: Sequence[str] = QUERIES, settings: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Runs the queries of models and tests; returns the steps that handled more rows than `limit`."""
    found = {}
    (compiled,) = product.project.glob("target/compiled/*")
    chosen = [path for name in files for path in compiled.glob(name)]
    assert "daily_metrics.sql" in {path.name for path in chosen}
    with product.connection() as connection:
        for setting in settings:
            connection.execute(f"set {setting}".encode())
        for file in chosen:
            query = f"explain (analyze, timing off, format json) {file.read_text()}"
            row = connection.execute(query.encode()).fetchone()
            assert row is not None
            (plan,) = row["QUERY PLAN"]
            if big := [step for step in steps(plan["Plan"]) if rows_handled(step) > limit]:
                found[file.name] = [f"{step['Node Type']} {rows_handled(step)}" for step in big]
    return found


def rows_read(product: Product) -> Counter[str]:
    """Returns how many rows have been read from each table so far."""
    return Counter({row["name"]: row["rows"] for row in product.query(READS_SO_FAR)})


@pytest.mark.any_postgres
def test_the_work_of_a_build_does_not_grow_with_the_history_or_the_square_of_the_names(
    server: Server, s3: S3, tmp_path: Path
) -> None:
    """Builds a day of a few rows for every client, then a day of many names for one client."""
    titles = dict(zip(["date", *NAMES, "impressions"], [HEADER[0], *HEADER[2:]], strict=True))
    days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS + 2)]
    new_days = (
        (days[-2], CLIENTS, 5, ["media.daily_metrics", "media.staging_media_raw"]),
        (days[-1], CLIENTS[:1], 1000, ["media_models.int_names_staged", "media.staging_media_raw"]),
    )
    with fresh_product(server, s3, tmp_path) as product:
        product.feeds({"ttd": {**FEED, "columns": titles}})
        for client in CLIENTS:
            product.add_client(client)
        for start in range(0, DAYS, DAYS_PER_FILE):
            put(product, days[start : start + DAYS_PER_FILE], CLIENTS, 5)
        product.load()
        product.aliases([("", "creative", f"X{number}", f"Y{number}") for number in range(300)])
        product.transform()
        # in the order in which nightly flows add the rows, not sorted by client
        product.query("cluster media.daily_metrics using idx_metrics_date_creative")
        product.query("analyze media.daily_metrics")
        for day, clients, creatives, tables in new_days:
            put(product, [day], clients, creatives)
            product.load()
            before = rows_read(product)
            product.transform()
            reads = rows_read(product) - before
            assert {table: reads[table] for table in tables if reads[table] > HISTORY // 2} == {}
            assert too_much_work(product, HISTORY // 2) == {}
        # The planner expects one row where there are many, so no nested loop may read all names each time.
        loops = ("enable_hashjoin = off", "enable_mergejoin = off")
        assert too_much_work(product, HISTORY // 2, OF_NAMES, loops) == {}
