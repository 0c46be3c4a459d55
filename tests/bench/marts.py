"""The first build of all marts: `media transform` against one SQL script written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loader.database.connection import Database
from tests.bench.sample import Sample, add_clients, divided
from tests.bench.stand import FORGET_BUILDS, Stand
from tests.bench.table import Fact, Line, alternate, progress

SCRIPT = Path(__file__).with_name("first_build.sql")
FILES = 8
TABLES = {
    "campaigns": "client_id, name",
    "strategies": "client_id, campaign_id, name",
    "placements": "client_id, strategy_id, name",
    "creatives": "client_id, placement_id, name, preview_url",
    "daily_metrics": "client_id, date, campaign_id, strategy_id, placement_id, creative_id, impressions,"
    " clicks, ctr, conversions, conversion_revenue, spend, cpc, cpa, roas",
    "weekly_summaries": "client_id, week_start, week_end, impressions, clicks, conversions, revenue, spend,"
    " ctr, cpc, cpa, roas, top_campaigns, top_creatives",
    "monthly_summaries": "client_id, month_start, month_end, impressions, clicks, conversions, revenue,"
    " spend, ctr, cpc, cpa, roas, top_campaigns, top_creatives",
}


def measure(bench: Stand, sample: Sample, runs: int) -> Iterator[Line | Fact]:
    """Yields the line on the first build; raises AssertionError if the script's rows are not ours."""
    empty, db = bench.fresh("marts_empty"), bench.fresh("marts")
    load_history(bench, db, sample, sample.rows)
    starts: list[float] = []

    def ours() -> float:
        starts.append(_built(bench, empty))
        return _built(bench, db)

    floor, found = alternate("first build", runs, lambda: _by_hand(bench, db), ours)
    _compare(bench, db)
    yield Line(
        "first build of all marts", f"{sample.rows:,} rows", floor, found, "≤ 1.2 + dbt's start", starts
    )


def load_history(bench: Stand, db: Database, sample: Sample, rows: int) -> None:
    """Loads so many rows, up to sample.LAST_DAY."""
    add_clients(db)
    bench.empty_bucket()
    for number, days in enumerate(divided(sample.days(rows), FILES)):
        file = sample.write(bench.directory / f"history{number}.csv", days)
        bench.put(f"drops/{file.name}", file)
        file.unlink()
    progress(f"loading a history of {rows:,} rows")
    ran = bench.media(db, "load")
    bench.empty_bucket()
    progress(f"loaded {rows:,} rows in {ran.seconds:.1f} s")


def _built(bench: Stand, db: Database) -> float:
    bench.sql(db, FORGET_BUILDS)
    bench.settle(db)
    return bench.media(db, "transform").seconds


def _by_hand(bench: Stand, db: Database) -> float:
    bench.sql(db, "drop schema if exists floor cascade")
    bench.settle(db)
    return bench.psql(db, "-f", str(SCRIPT)).seconds


def _compare(bench: Stand, db: Database) -> None:
    """Says whether both made the same: a floor that does less is none."""
    for table, columns in TABLES.items():
        mine, theirs = (f"select id, {columns} from {schema}.{table}" for schema in ("media", "floor"))
        differing = bench.value(
            db, f"select count(*) from (({mine} except {theirs}) union all ({theirs} except {mine})) as rows"
        )
        assert differing == 0, f"{differing} rows of {table} differ between the script and the build"
