"""The first build of all marts: `media transform` against one hand-written SQL script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loader.database.connection import Database
from tests.bench.environment import DROP_BUILDS, Bench
from tests.bench.sample import Sample, add_clients, split_days
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


def measure(bench: Bench, sample: Sample, runs: int) -> Iterator[Line | Fact]:
    """Yields the line for the first build; raises AssertionError if the script's rows differ from ours."""
    empty, db = bench.new_database("marts_empty"), bench.new_database("marts")
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


def load_history(bench: Bench, db: Database, sample: Sample, rows: int, files: int = FILES) -> None:
    """Loads about `rows` rows, for the days up to sample.LAST_DAY."""
    add_clients(db)
    bench.empty_bucket()
    for number, days in enumerate(split_days(sample.days(rows), files)):
        file = sample.write(bench.directory / f"history{number}.csv", days)
        bench.put(f"drops/{file.name}", file)
        file.unlink()
    progress(f"loading a history of {rows:,} rows")
    ran = bench.media(db, "load")
    bench.empty_bucket()
    progress(f"loaded {rows:,} rows in {ran.seconds:.1f} s")


def _built(bench: Bench, db: Database) -> float:
    bench.sql(db, DROP_BUILDS)
    bench.checkpoint(db)
    return bench.media(db, "transform").seconds


def _by_hand(bench: Bench, db: Database) -> float:
    bench.sql(db, "drop schema if exists floor cascade")
    bench.checkpoint(db)
    return bench.psql(db, "-f", str(SCRIPT)).seconds


def _compare(bench: Bench, db: Database) -> None:
    """Checks that both gave the same rows, so that the floor does all of the work."""
    for table, columns in TABLES.items():
        ours, floor = (f"select id, {columns} from {schema}.{table}" for schema in ("media", "floor"))
        differing = bench.value(
            db, f"select count(*) from (({ours} except {floor}) union all ({floor} except {ours})) as rows"
        )
        assert differing == 0, f"{differing} rows of {table} differ between the script and the build"
