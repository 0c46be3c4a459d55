"""Measure the product against the floor that PostgreSQL itself sets, on servers of its own.

make bench ARGS='--rows 100000 --only load,night --runs 5'
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import dashboard, loading, marts, nights
from tests.bench.sample import FEEDS, Sample
from tests.bench.stand import Stand, stand
from tests.bench.table import Fact, Line, print_table

PARTS = ("load", "memory", "build", "night", "dashboard")


def main() -> int:
    """Runs the chosen parts and prints one table."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="of a file; the history has five times that"
    )
    parser.add_argument("--runs", type=int, default=3, help="how often each line is measured")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {','.join(PARTS)}")
    parser.add_argument("--workers", default="", help="numbers of --workers to try as well: 1,2,4")
    parser.add_argument("--keep", type=Path, help="a directory that stays, with the history")
    chosen = parser.parse_args()
    parts = chosen.only.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}: choose of {', '.join(PARTS)}")
    lines: list[Line | Fact] = []
    with stand(FEEDS, chosen.keep and chosen.keep.absolute()) as bench:
        try:
            for line in _measured(bench, chosen, parts):
                lines.append(line)
        finally:
            print_table(lines)
    return 0


def _measured(bench: Stand, chosen: argparse.Namespace, parts: list[str]) -> Iterator[Line | Fact]:
    sample = Sample(chosen.rows)
    workers = [int(count) for count in chosen.workers.split(",") if count]
    if "load" in parts:
        yield from loading.measure(bench, sample, chosen.runs, workers)
    if "memory" in parts:
        yield from loading.measure_memory(bench, sample)
    if "build" in parts:
        yield from marts.measure(bench, sample, chosen.runs)
    if "night" in parts:
        yield from nights.measure(bench, sample, chosen.runs)
    if "dashboard" in parts:
        yield from dashboard.measure(bench, sample, chosen.runs)


if __name__ == "__main__":
    sys.exit(main())
