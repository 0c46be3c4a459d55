"""Measure the product against a floor, hand-written SQL and psql, on separate servers.

make bench ARGS='--rows 100000 --only load,nightly --runs 5'
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import dashboard, keys, loading, marts, nightly
from tests.bench.environment import Bench, running_bench
from tests.bench.sample import FEEDS, Sample
from tests.bench.table import Fact, Line, print_table

PARTS = ("load", "memory", "keys", "build", "nightly", "restate", "names", "dashboard")


def main() -> int:
    """Runs the chosen parts and prints one table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="rows per file; the long history has five times as many"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often to measure each line")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to run; default {','.join(PARTS)}")
    parser.add_argument("--workers", default="", help="also load with these numbers of --workers: 1,2,4")
    parser.add_argument(
        "--postgres", type=Path, help="a directory of PostgreSQL programs; default the wheel's"
    )
    parser.add_argument("--keep", type=Path, help="a directory to keep with the history, for the next run")
    chosen = parser.parse_args()
    parts = chosen.only.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    lines: list[Line | Fact] = []
    with running_bench(FEEDS, chosen.keep and chosen.keep.absolute(), chosen.postgres) as bench:
        try:
            for line in _measured(bench, chosen, parts):
                lines.append(line)
        finally:
            print_table(lines)
    return 0


def _measured(bench: Bench, chosen: argparse.Namespace, parts: list[str]) -> Iterator[Line | Fact]:
    sample = Sample(chosen.rows)
    workers = [int(count) for count in chosen.workers.split(",") if count]
    if "load" in parts:
        yield from loading.measure(bench, sample, chosen.runs, workers)
    if "memory" in parts:
        yield from loading.measure_memory(bench, sample)
    if "keys" in parts:
        yield from keys.measure(bench, chosen.runs)
    if "build" in parts:
        yield from marts.measure(bench, sample, chosen.runs)
    if "nightly" in parts:
        yield from nightly.measure(bench, sample, chosen.runs)
    if "restate" in parts:
        yield nightly.measure_restatements(bench, chosen.rows, chosen.runs)
    if "names" in parts:
        yield nightly.measure_many_names(bench, Sample(chosen.rows, many_names=True), chosen.runs)
    if "dashboard" in parts:
        yield from dashboard.measure(bench, sample, chosen.runs)


if __name__ == "__main__":
    sys.exit(main())
