"""Loading: `media load` against psql's copy of the same prepared rows into an identical table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from loader.database.connection import Database
from tests.bench.environment import DELETE_LOADS, Bench
from tests.bench.sample import Sample, add_clients, gzip_copy, split_days, zstd_copy
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


def measure(bench: Bench, sample: Sample, runs: int, workers: Sequence[int]) -> Iterator[Line | Fact]:
    """Yields the lines for loading."""
    db = bench.new_database("loading")
    add_clients(db)
    days = sample.days(sample.rows)
    size = f"{sample.rows:,} rows"
    progress(f"writing {size}")
    plain = sample.write(bench.directory / "rows.csv", days)
    parts = [sample.write(bench.directory / f"part{number}.csv", part)
             for number, part in enumerate(split_days(days, FILES))]  # fmt: skip
    first = _loaded(bench, db, [plain])
    prepared, with_ids = (_prepared(bench, db, columns) for columns in (COLUMNS, f"id, {COLUMNS}"))
    bench.sql(db, *FLOOR.split(";"))
    megabytes = plain.stat().st_size >> 20
    variants: list[tuple[str, list[Path], list[str], str]] = [
        (f"load one CSV ({megabytes} MB)", [plain], [], "≤ 1.15"),
        ("load it as gzip", [gzip_copy(plain)], [], "≤ 1.25"),
        ("load it as zstd", [zstd_copy(plain)], [], "≤ 1.25"),
        (f"load it as {FILES} files", parts, [], "≤ 0.75"),
        *((f"load it as {FILES} files, --workers {count}", parts, ["--workers", str(count)], "scales")
          for count in workers),
    ]  # fmt: skip
    for what, files, arguments, target in variants:
        floor, ours = alternate(
            what,
            runs,
            lambda: _copied(bench, db, prepared, COLUMNS),
            lambda files=files, arguments=arguments: _loaded(bench, db, files, *arguments)[0],  # type: ignore[misc]
        )
        yield Line(what, size, floor, ours, target)
    what = "load one CSV, floor with prepared ids"
    floor, ours = alternate(
        what,
        runs,
        lambda: _copied(bench, db, with_ids, f"id, {COLUMNS}"),
        lambda: _loaded(bench, db, [plain])[0],
    )
    yield Line(what, size, floor, ours, "")
    yield Fact("peak memory of media load", size, f"{first[1]:.0f} MB", "≤ 200 MB")


def measure_memory(bench: Bench, sample: Sample) -> Iterator[Fact]:
    """Yields the peak memory of loading a file of five times the size."""
    db = bench.new_database("loading")
    add_clients(db)
    big = sample.write(bench.directory / "big.csv", sample.days(5 * sample.rows))
    seconds, peak = _loaded(bench, db, [big])
    big.unlink()
    size = f"{5 * sample.rows:,} rows"
    yield Fact("peak memory of media load", size, f"{peak:.0f} MB ({seconds:.1f} s)", "≤ 200 MB")


def _loaded(bench: Bench, db: Database, files: Sequence[Path], *arguments: str) -> tuple[float, float]:
    """Loads files into empty tables; returns seconds and megabytes."""
    bench.empty_bucket()
    for file in files:
        bench.put(f"drops/{file.name}", file)
    bench.sql(db, DELETE_LOADS)
    bench.checkpoint(db)
    ran = bench.media(db, "load", *arguments)
    return ran.seconds, ran.peak_mb


def _prepared(bench: Bench, db: Database, columns: str) -> Path:
    """Writes the staged rows to a file for psql's copy."""
    file = bench.directory / f"prepared{columns.count(',')}.copy"
    bench.psql(db, "-c", rf"\copy (select {columns} from media.staging_media_raw) to '{file}'")
    return file


def _copied(bench: Bench, db: Database, prepared: Path, columns: str) -> float:
    bench.sql(db, "truncate floor.staging_media_raw")
    bench.checkpoint(db)
    return bench.psql(db, "-c", rf"\copy floor.staging_media_raw ({columns}) from '{prepared}'").seconds
