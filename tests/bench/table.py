"""The table of measurements: size, floor, ours, ratio and target; times and ratios as min and median."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

Measurement = Callable[[], float]
_started = time.monotonic()


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds of several runs, ours against the floor; `start` is left out of the ratio."""

    what: str
    size: str
    floor: Sequence[float]
    ours: Sequence[float]
    target: str
    start: Sequence[float] = ()

    def cells(self) -> tuple[str, ...]:
        """Returns the line as text."""
        starts = [f"{min(self.start):.2f}"] if self.start else [""]
        best = (min(self.ours) - min(self.start or [0])) / min(self.floor)
        middle = (median(self.ours) - median(self.start or [0])) / median(self.floor)
        floor, ours = (f"{min(runs):.3g} / {median(runs):.3g}" for runs in (self.floor, self.ours))
        return (self.what, self.size, floor, ours, *starts, f"{best:.2f} / {middle:.2f}", self.target)


@dataclass(frozen=True, slots=True)
class Fact:
    """A measurement without a floor."""

    what: str
    size: str
    value: str
    target: str

    def cells(self) -> tuple[str, ...]:
        """Returns the line as text."""
        return (self.what, self.size, "", self.value, "", "", self.target)


TITLES = ("measurement", "size", "floor s", "ours s", "start s", "ratio", "target")


def alternate(what: str, runs: int, floor: Measurement, ours: Measurement) -> tuple[list[float], list[float]]:
    """Measures both in turn, `runs` times each, so that both get the same noise."""
    floors, found = [], []
    for run in range(1, runs + 1):
        floors.append(floor())
        found.append(ours())
        progress(f"{what}, run {run} of {runs}: floor {floors[-1]:.2f} s, ours {found[-1]:.2f} s")
    return floors, found


def progress(sentence: str) -> None:
    """Prints progress to stderr."""
    print(f"[{time.monotonic() - _started:6.0f} s] {sentence}", file=sys.stderr, flush=True)


def print_table(lines: Sequence[Line | Fact]) -> None:
    """Prints the table, in Markdown."""
    rows = [TITLES, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
    for number, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if not number:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print("Seconds and ratios: minimum / median of the runs. The ratio does not include the start column.")
