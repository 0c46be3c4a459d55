"""Shows the progress of long-running work: a bar on a terminal, plain lines elsewhere."""

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
from loader.ingestion.s3 import S3Object
from loader.ingestion.task import Result, Task

SECONDS_BETWEEN_LINES = 10


@contextmanager
def loading(as_json: bool) -> Iterator[load.Progress]:
    """Yields the Progress for load(): a bar on a terminal, plain lines elsewhere, nothing with --json."""
    if as_json:
        yield load.Progress()
    elif not sys.stderr.isatty():
        yield _LineProgress()
    else:
        columns = (BarColumn(), DownloadColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            yield _BarProgress(bar)


@contextmanager
def building() -> Iterator[Callable[[int, int], None] | None]:
    """Yields the callback for transform(): a bar on a terminal; elsewhere None, so that dbt prints lines."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("dbt nodes"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task_id = bar.add_task("building", total=None)
        yield lambda done, total: bar.update(task_id, completed=done, total=total)


class _LineProgress(load.Progress):
    """Prints a line for each finished object, and one every few seconds while a large object loads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = self._last_line = time.monotonic()
        self._positions: dict[S3Object, int] = {}
        self.objects = self.objects_done = self.size = self.read = self.rows = 0

    def planned(self, tasks: Sequence[Task]) -> None:
        self.objects, self.size = len(tasks), sum(task.obj.size for task in tasks)

    def advanced(self, obj: S3Object, position: int, rows: int) -> None:
        with self._lock:
            self.read += position - self._positions.get(obj, 0)
            self._positions[obj] = position
            self.rows += rows
            self.show()

    def finished(self, task: Task, result: Result) -> None:
        self.advanced(task.obj, task.obj.size, 0)
        self.objects_done += 1
        say(f"[{self.objects_done}/{self.objects}] {line(result)}")

    def show(self) -> None:
        """Prints bytes read, speed and time left, at most every SECONDS_BETWEEN_LINES."""
        now = time.monotonic()
        if now - self._last_line > SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = (now - self._started) * (self.size - self.read) / max(self.read, 1)
            say(f"{self.read:,} of {self.size:,} bytes, {self.speed()}, {left:,.0f} s left")

    def speed(self) -> str:
        """Returns the average number of rows staged per second."""
        return f"{self.rows / max(time.monotonic() - self._started, 0.001):,.0f} rows/s"


class _BarProgress(_LineProgress):
    """Shows the same as a progress bar: bytes, rows per second, time left."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self._bar = bar
        self._task_id = bar.add_task("listing", total=None)

    def finished(self, task: Task, result: Result) -> None:
        self.advanced(task.obj, task.obj.size, 0)

    def show(self) -> None:
        """Updates the bar."""
        self._bar.update(self._task_id, completed=self.read, total=self.size, description=self.speed())


def line(result: Result) -> str:
    """Returns the line that describes an object's result."""
    return f"{result.status} {result.uri}: {result.message}"
