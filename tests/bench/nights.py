"""Nights: new rows, nothing new, a new price, and the flow, on a long history and on a short one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from loader.database.connection import Database, connect
from tests.bench.marts import load_history
from tests.bench.sample import CLIENTS, LAST_DAY, Sample
from tests.bench.stand import Stand, written
from tests.bench.table import Fact, Line, alternate, progress

REPRICE = Path(__file__).with_name("reprice.sql")
BACK = 60
START_OF_PREFECT = """
from prefect import flow

@flow
def nothing() -> None: pass

nothing()
"""


def measure(bench: Stand, sample: Sample, runs: int) -> Iterator[Line | Fact]:
    """Yields the lines on nights."""
    empty, short, long = (_ready(bench, sample, name, rows) for name, rows in _histories(sample).items())
    for db in (empty, short, long):
        bench.media(db, "transform")  # dbt reads its project for the first time, which is not tonight's work
    yield from _new_rows(bench, sample, runs, short, long)
    yield from _nothing_new(bench, sample, runs, empty, long)
    yield from _new_price(bench, sample, runs, empty, long)
    yield from _flow(bench, sample, runs, long)


def _histories(sample: Sample) -> dict[str, int]:
    return {"night_empty": 0, "night_short": sample.rows // 5, "night_long": sample.rows * 5}


def _ready(bench: Stand, sample: Sample, name: str, rows: int) -> Database:
    """Returns a database with so many rows, built; one that --keep kept serves again."""
    if bench.exists(name):
        bench.media(bench.database(name), "migrate")
        return bench.database(name)
    db = bench.fresh(name)
    if rows:
        load_history(bench, db, sample, rows)
    ran = bench.media(db, "transform")
    progress(f"built {rows:,} rows for the first time in {ran.seconds:.1f} s")
    bench.sql(db, "vacuum analyze")
    return db


def _new_rows(bench: Stand, sample: Sample, runs: int, short: Database, long: Database) -> Iterator[Line]:
    """Each run is the next night, of one more day."""
    done = {
        db.description: bench.value(db, "select count(*) from media.ingestion_logs") for db in (short, long)
    }

    def night(db: Database) -> float:
        done[db.description] += 1
        day = LAST_DAY + timedelta(days=done[db.description] - 8)
        bench.empty_bucket()
        bench.put(f"drops/{day}.csv", sample.write(bench.directory / "night.csv", [day]))
        bench.settle(db)
        return bench.media(db, "load").seconds + bench.media(db, "transform").seconds

    what = f"night of {sample.rows_a_day:,} new rows: load, transform"
    floor, ours = alternate(what, runs, lambda: night(short), lambda: night(long))
    yield Line(what, f"{sample.rows * 5:,}, floor on {sample.rows // 5:,}", floor, ours, "≤ 1.3")


def _nothing_new(
    bench: Stand, sample: Sample, runs: int, empty: Database, long: Database
) -> Iterator[Line | Fact]:
    def night(db: Database) -> float:
        bench.settle(db)
        return bench.media(db, "transform").seconds

    what, size = "night with nothing new: transform", f"{sample.rows * 5:,}, floor on 0"
    floor, ours = alternate(what, runs, lambda: night(empty), lambda: night(long))
    yield Line(what, size, floor, ours, "≤ 1.3")
    bench.settle(long)
    with closing(connect(long, autocommit=True)) as connection:
        wal, rows = written(connection)
        bench.media(long, "transform")
        wal, rows = (after - before for after, before in zip(written(connection), (wal, rows), strict=True))
    yield Fact("the same: rows written, WAL", size, f"{rows} rows, {wal / 1e6:.2f} MB", "0 rows, < 1 MB")


def _new_price(bench: Stand, sample: Sample, runs: int, empty: Database, long: Database) -> Iterator[Line]:
    """Floor and ours re-price the same rows in turn, each to a price of its own."""
    since = LAST_DAY - timedelta(days=BACK)
    starts: list[float] = []

    def change() -> str:
        # one that no build has seen: what the script changed is no news to one that knows its price
        price = bench.value(long, "select max(cpm) + 1 from media.client_settings")
        bench.sql(
            long,
            f"""
            insert into media.client_settings (client_id, cpm, effective_date)
            select id, {price}, '{since}' from media.clients where name = '{CLIENTS[0]}'
            on conflict on constraint client_settings_one_rate_a_date do update set cpm = excluded.cpm
            """,
        )
        bench.settle(long)
        return f"{price}"

    def by_hand() -> float:
        values = {"client": CLIENTS[0], "cpm": change(), "since": f"{since}"}
        options = [option for name, value in values.items() for option in ("-v", f"{name}={value}")]
        return bench.psql(long, *options, "-f", str(REPRICE)).seconds

    def ours() -> float:
        starts.append(bench.media(empty, "transform").seconds)
        change()
        return bench.media(long, "transform").seconds

    what = f"a client's CPM changed {BACK} days back: transform"
    floor, found = alternate(what, runs, by_hand, ours)
    yield Line(what, f"{sample.rows * 5:,} rows", floor, found, "≤ 2 + dbt's start", starts)


def _flow(bench: Stand, sample: Sample, runs: int, long: Database) -> Iterator[Line | Fact]:
    bench.empty_bucket()
    starts: list[float] = []

    def commands() -> float:
        return bench.media(long, "load").seconds + bench.media(long, "transform").seconds

    def flow() -> float:
        starts.append(bench.run(long, sys.executable, "-c", START_OF_PREFECT).seconds)
        return bench.media(long, "nightly").seconds

    what, size = "media nightly with nothing new", f"{sample.rows * 5:,} rows"
    floor, ours = alternate(what, runs, commands, flow)
    yield Line(what, size, floor, ours, "start of Prefect + 2 s", starts)
    more = min(ours) - min(floor) - min(starts)
    yield Fact("the same: beyond the two commands and Prefect's start", size, f"{more:.1f} s", "≤ 2 s")
