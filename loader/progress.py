"""How far long-running work is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from loader.console import say
from loader.ingestion import load
from loader.ingestion.ingest import Result, Task
from loader.ingestion.s3 import S3Object

SECONDS_BETWEEN_LINES = 10


@contextmanager
def loading(as_json: bool) -> Iterator[load.Progress]:
    """Yields what load() reports to: a bar on a terminal, plain lines elsewhere, nothing beside JSON."""
    if as_json:
        yield load.Progress()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield _Bar(bar)


@contextmanager
def building() -> Iterator[Callable[[int, int], None] | None]:
    """Yields what transform() reports to: a bar on a terminal; elsewhere None: dbt prints its own lines."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("nodes of dbt"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        work = bar.add_task("building", total=None)
        yield lambda done, total: bar.update(work, completed=done, total=total)


class _Lines(load.Progress):
    """A line for each object, and for a large one a line now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = self._spoke = time.monotonic()
        self._positions: dict[str, int] = {}
        self.objects = self.objects_done = self.size = self.read = self.rows = 0

    def planned(self, tasks: Sequence[Task]) -> None:
        self.objects, self.size = len(tasks), sum(task.thing.size for task in tasks)

    def moved(self, thing: S3Object, position: int, rows: int) -> None:
        with self._lock:
            self.read += position - self._positions.get(thing.uri, 0)
            self._positions[thing.uri] = position
            self.rows += rows
            self.show()

    def ended(self, task: Task, result: Result) -> None:
        self.moved(task.thing, task.thing.size, 0)
        self.objects_done += 1
        say(f"[{self.objects_done}/{self.objects}] {line(result)}")

    def show(self) -> None:
        """Says how far it is, unless it just did."""
        now = time.monotonic()
        if now - self._spoke > SECONDS_BETWEEN_LINES:
            self._spoke = now
            left = (now - self._began) * (self.size - self.read) / max(self.read, 1)
            say(f"{self.read:,} of {self.size:,} bytes, {self.speed()}, {left:,.0f} s left")

    def speed(self) -> str:
        """Returns how many rows a second were staged so far."""
        return f"{self.rows / max(time.monotonic() - self._began, 0.001):,.0f} rows a second"


class _Bar(_Lines):
    """The same as a bar: bytes, rows a second, time left."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self._bar = bar
        self._work = bar.add_task("listing", total=None)

    def ended(self, task: Task, result: Result) -> None:
        self.moved(task.thing, task.thing.size, 0)

    def show(self) -> None:
        """Moves the bar."""
        self._bar.update(self._work, completed=self.read, total=self.size, description=self.speed())


def line(result: Result) -> str:
    """Returns one line on what became of an object."""
    return f"{result.status} {result.uri}: {result.message}"
