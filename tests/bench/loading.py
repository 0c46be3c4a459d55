"""Loading: `media load` against psql's copy of the same rows, ready made, into an identical table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from loader.database.connection import Database
from tests.bench.sample import Sample, add_clients, divided, packed_gzip, packed_zstd
from tests.bench.stand import FORGET_LOADS, Stand
from tests.bench.table import Fact, Line, alternate, progress

FLOOR = """
create schema if not exists floor;
drop table if exists floor.staging_media_raw;
create table floor.staging_media_raw (like media.staging_media_raw including all);
alter table floor.staging_media_raw
add foreign key (client_id) references media.clients (id) on update cascade on delete restrict
"""
COLUMNS = (
    "ingestion_run_id, client_id, date, campaign_name, strategy_name, placement_name, creative_name,"
    " impressions, clicks, ctr, conversions, conversion_revenue"
)
FILES = 8


def measure(bench: Stand, sample: Sample, runs: int, workers: Sequence[int]) -> Iterator[Line | Fact]:
    """Yields the lines on loading."""
    db = bench.fresh("loading")
    add_clients(db)
    days = sample.days(sample.rows)
    size = f"{sample.rows:,} rows"
    progress(f"writing {size}")
    plain = sample.write(bench.directory / "rows.csv", days)
    parts = [sample.write(bench.directory / f"part{number}.csv", part)
             for number, part in enumerate(divided(days, FILES))]  # fmt: skip
    first = _loaded(bench, db, [plain])
    ready, with_ids = (_ready(bench, db, columns) for columns in (COLUMNS, f"id, {COLUMNS}"))
    bench.sql(db, *FLOOR.split(";"))
    megabytes = plain.stat().st_size >> 20
    variants: list[tuple[str, list[Path], list[str], str]] = [
        (f"load one CSV ({megabytes} MB)", [plain], [], "≤ 1.15"),
        ("load it from gzip", [packed_gzip(plain)], [], "≤ 1.25"),
        ("load it from zstd", [packed_zstd(plain)], [], "≤ 1.25"),
        (f"load it as {FILES} files", parts, [], "≤ 0.75"),
        *((f"load it as {FILES} files, --workers {count}", parts, ["--workers", str(count)], "scales")
          for count in workers),
    ]  # fmt: skip
    for what, files, arguments, target in variants:
        floor, ours = alternate(
            what,
            runs,
            lambda: _copied(bench, db, ready, COLUMNS),
            lambda files=files, arguments=arguments: _loaded(bench, db, files, *arguments)[0],  # type: ignore[misc]
        )
        yield Line(what, size, floor, ours, target)
    what = "load one CSV, floor with ids ready made"
    floor, ours = alternate(
        what,
        runs,
        lambda: _copied(bench, db, with_ids, f"id, {COLUMNS}"),
        lambda: _loaded(bench, db, [plain])[0],
    )
    yield Line(what, size, floor, ours, "")
    yield Fact("peak memory of media load", size, f"{first[1]:.0f} MB", "≤ 200 MB")


def measure_memory(bench: Stand, sample: Sample) -> Iterator[Fact]:
    """Yields the peak of one file five times the size."""
    db = bench.fresh("loading")
    add_clients(db)
    big = sample.write(bench.directory / "big.csv", sample.days(5 * sample.rows))
    seconds, peak = _loaded(bench, db, [big])
    big.unlink()
    size = f"{5 * sample.rows:,} rows"
    yield Fact("peak memory of media load", size, f"{peak:.0f} MB ({seconds:.1f} s)", "≤ 200 MB")


def _loaded(bench: Stand, db: Database, files: Sequence[Path], *arguments: str) -> tuple[float, float]:
    """Loads files into empty tables; returns seconds and megabytes."""
    bench.empty_bucket()
    for file in files:
        bench.put(f"drops/{file.name}", file)
    bench.sql(db, FORGET_LOADS)
    bench.settle(db)
    ran = bench.media(db, "load", *arguments)
    return ran.seconds, ran.peak_mb


def _ready(bench: Stand, db: Database, columns: str) -> Path:
    """Writes the staged rows as psql's copy takes them."""
    file = bench.directory / f"ready{columns.count(',')}.copy"
    bench.psql(db, "-c", rf"\copy (select {columns} from media.staging_media_raw) to '{file}'")
    return file


def _copied(bench: Stand, db: Database, ready: Path, columns: str) -> float:
    bench.sql(db, "truncate floor.staging_media_raw")
    bench.settle(db)
    return bench.psql(db, "-c", rf"\copy floor.staging_media_raw ({columns}) from '{ready}'").seconds
