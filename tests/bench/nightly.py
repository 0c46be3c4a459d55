"""The nightly work: new rows, nothing new, a changed CPM, and the flow, on a long and a short history."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from itertools import count
from pathlib import Path

from loader.database.connection import Database, connect
from tests.bench.environment import Bench, write_counters
from tests.bench.marts import load_history
from tests.bench.sample import CLIENTS, LAST_DAY, Sample
from tests.bench.table import Fact, Line, alternate, progress

REPRICE = Path(__file__).with_name("reprice.sql")
DAYS_BACK = 60
RESTATED_DAYS_BACK = 400
MONTH_END = date(2025, 8, 31)
EMPTY_FLOW = """
from prefect import flow

@flow
def nothing() -> None: pass

nothing()
"""


def measure(bench: Bench, sample: Sample, runs: int) -> Iterator[Line | Fact]:
    """Yields the lines for the nightly work."""
    empty, short, long = (_built(bench, sample, name, rows) for name, rows in _histories(sample).items())
    for db in (empty, short, long):
        bench.media(db, "transform")  # dbt parses the project once, which is not measured
    yield _new_rows(bench, sample, runs, short, long, "≤ 1.3")
    yield from _nothing_new(bench, sample, runs, empty, long)
    yield from _changed_cpm(bench, sample, runs, empty, long)
    yield from _flow(bench, sample, runs, long)


def measure_many_names(bench: Bench, sample: Sample, runs: int) -> Line:
    """Returns the line for new rows of many names, with the statistics that a nightly flow finds."""
    short, long = (
        _built_as_delivered(bench, sample, f"names_{name}", rows)
        for name, rows in (("short", sample.rows // 5), ("long", sample.rows * 5))
    )
    return _new_rows(bench, sample, runs, short, long, "≤ 1.1")


def measure_restatements(bench: Bench, rows: int, runs: int) -> Line:
    """Returns the line for restating a day long ago; the floor restates the last day.

    Both days are in whole months, because a summary adds up its whole month.
    """
    sample = Sample(rows // 2, last_day=MONTH_END)  # half as many rows per day, so twice as many days
    db = _built_as_delivered(bench, sample, "restated", rows * 5)
    versions = count(int(bench.value(db, "select count(*) from media.ingestion_logs")))

    def restate(day: date) -> float:
        version = next(versions)
        bench.empty_bucket()
        file = sample.write(bench.directory / "restated.csv", [day], version)
        bench.put(f"drops/{day}-{version}.csv", file)
        bench.checkpoint(db)
        return bench.media(db, "load").seconds + bench.media(db, "transform").seconds

    what = f"load and transform a day of {sample.rows_per_day:,} rows again, {RESTATED_DAYS_BACK} days back"
    long_ago = MONTH_END - timedelta(days=RESTATED_DAYS_BACK)
    floor, ours = alternate(what, runs, lambda: restate(MONTH_END), lambda: restate(long_ago))
    return Line(what, f"{rows * 5:,}, floor: the last day", floor, ours, "≤ 1.1")


def _built_as_delivered(bench: Bench, sample: Sample, name: str, rows: int) -> Database:
    """Returns a database with a file per day, loaded and built, and never analyzed by hand."""
    if bench.exists(name):
        db = bench.database(name)
        bench.media(db, "migrate")
    else:
        db = bench.new_database(name)
        load_history(bench, db, sample, rows, len(sample.days(rows)))
        progress(f"built {rows:,} rows for the first time in {bench.media(db, 'transform').seconds:.1f} s")
    bench.media(db, "transform")  # dbt parses the project once, which is not measured
    return db


def _histories(sample: Sample) -> dict[str, int]:
    return {"nightly_empty": 0, "nightly_short": sample.rows // 5, "nightly_long": sample.rows * 5}


def _built(bench: Bench, sample: Sample, name: str, rows: int) -> Database:
    """Returns a database with about `rows` rows, loaded and built; reuses one that --keep has kept."""
    if bench.exists(name):
        bench.media(bench.database(name), "migrate")
        return bench.database(name)
    db = bench.new_database(name)
    if rows:
        load_history(bench, db, sample, rows)
    ran = bench.media(db, "transform")
    progress(f"built {rows:,} rows for the first time in {ran.seconds:.1f} s")
    bench.sql(db, "vacuum analyze")
    return db


def _new_rows(bench: Bench, sample: Sample, runs: int, short: Database, long: Database, target: str) -> Line:
    """Returns the line for loading and building one more day per run."""

    def load_and_build(db: Database) -> float:
        later = bench.value(db, f"select max(date) - '{LAST_DAY}' + 1 from media_ops.run_days")
        day = LAST_DAY + timedelta(days=later)
        bench.empty_bucket()
        bench.put(f"drops/{day}.csv", sample.write(bench.directory / "new_day.csv", [day]))
        bench.checkpoint(db)
        return bench.media(db, "load").seconds + bench.media(db, "transform").seconds

    what = f"load and transform {sample.rows_per_day:,} new rows"
    if sample.many_names:
        what += f" of {5 * sample.rows_per_day:,} names"
    floor, ours = alternate(what, runs, lambda: load_and_build(short), lambda: load_and_build(long))
    return Line(what, f"{sample.rows * 5:,}, floor on {sample.rows // 5:,}", floor, ours, target)


def _nothing_new(
    bench: Bench, sample: Sample, runs: int, empty: Database, long: Database
) -> Iterator[Line | Fact]:
    def build(db: Database) -> float:
        bench.checkpoint(db)
        return bench.media(db, "transform").seconds

    what, size = "transform with nothing new", f"{sample.rows * 5:,}, floor on 0"
    floor, ours = alternate(what, runs, lambda: build(empty), lambda: build(long))
    yield Line(what, size, floor, ours, "≤ 1.3")
    bench.checkpoint(long)
    with closing(connect(long, autocommit=True)) as connection:
        wal, rows = write_counters(connection)
        bench.media(long, "transform")
        wal, rows = (
            after - before for after, before in zip(write_counters(connection), (wal, rows), strict=True)
        )
    yield Fact(
        "transform with nothing new: rows written, WAL",
        size,
        f"{rows} rows, {wal / 1e6:.2f} MB",
        "0 rows, < 1 MB",
    )


def _changed_cpm(bench: Bench, sample: Sample, runs: int, empty: Database, long: Database) -> Iterator[Line]:
    """Yields the line for a CPM change; floor and ours re-price the same rows in turn, each to a new CPM."""
    since = LAST_DAY - timedelta(days=DAYS_BACK)
    starts: list[float] = []

    def change() -> str:
        # a new CPM each time: a build would not rebuild days that it has already built with this CPM
        cpm = bench.value(long, "select max(cpm) + 1 from media.client_settings")
        bench.sql(
            long,
            f"""
            insert into media.client_settings (client_id, cpm, effective_date)
            select id, {cpm}, '{since}' from media.clients where name = '{CLIENTS[0]}'
            on conflict on constraint client_settings_one_rate_a_date do update set cpm = excluded.cpm
            """,
        )
        bench.checkpoint(long)
        return f"{cpm}"

    def by_hand() -> float:
        values = {"client": CLIENTS[0], "cpm": change(), "since": f"{since}"}
        options = [option for name, value in values.items() for option in ("-v", f"{name}={value}")]
        return bench.psql(long, *options, "-f", str(REPRICE)).seconds

    def ours() -> float:
        starts.append(bench.media(empty, "transform").seconds)
        change()
        return bench.media(long, "transform").seconds

    what = f"transform after a client's CPM changed {DAYS_BACK} days back"
    floor, found = alternate(what, runs, by_hand, ours)
    yield Line(what, f"{sample.rows * 5:,} rows", floor, found, "≤ 2 + dbt's start", starts)


def _flow(bench: Bench, sample: Sample, runs: int, long: Database) -> Iterator[Line | Fact]:
    bench.empty_bucket()
    starts: list[float] = []

    def commands() -> float:
        return bench.media(long, "load").seconds + bench.media(long, "transform").seconds

    def flow() -> float:
        starts.append(bench.run(long, sys.executable, "-c", EMPTY_FLOW).seconds)
        return bench.media(long, "nightly").seconds

    what, size = "media nightly with nothing new", f"{sample.rows * 5:,} rows"
    floor, ours = alternate(what, runs, commands, flow)
    yield Line(what, size, floor, ours, "start of Prefect + 2 s", starts)
    more = min(ours) - min(floor) - min(starts)
    yield Fact(
        "media nightly with nothing new: beyond load, transform and Prefect's start",
        size,
        f"{more:.1f} s",
        "≤ 2 s",
    )
