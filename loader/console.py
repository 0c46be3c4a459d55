"""How commands speak: JSON for programs, tables for people, one sentence a failure on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from loader.connection import Database, database
from loader.embedded import CHECKOUT
from loader.ingest import Result


def feeds_file() -> Path:
    """Returns where feeds.yml is."""
    return Path(os.environ.get("MEDIA_FEEDS") or CHECKOUT / "feeds.yml")


@contextmanager
def opened(as_json: bool = False) -> Iterator[Database]:
    """Yields the database of the command and says which it is; beside JSON, on stderr."""
    with database() as db:
        print(db.description, file=sys.stderr if as_json else sys.stdout, flush=True)
        yield db


def printable(text: object) -> str:
    """Returns a stranger's text as a terminal can show it, on one line, without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def fail(sentence: str) -> None:
    """Says what failed."""
    print(printable(sentence), file=sys.stderr, flush=True)


def say(sentence: str) -> None:
    """Says what was done."""
    print(printable(sentence), flush=True)


def print_json(things: Any) -> None:
    """Prints dataclasses, or lists of them, as JSON."""
    plain = [asdict(thing) for thing in things] if isinstance(things, list) else asdict(things)
    print(json.dumps(plain, default=str, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table on a terminal, tab-separated lines elsewhere."""
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join("" if value is None else printable(value) for value in row))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text("" if value is None else printable(value)) for value in row))
    Console().print(table)


@contextmanager
def loading(as_json: bool) -> Iterator[Any]:
    """Yields what load() reports to: a bar on a terminal, a line an object elsewhere."""
    if as_json or not sys.stderr.isatty():
        yield None if as_json else (lambda result, done, total: say(f"[{done}/{total}] {line(result)}"))
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        work = bar.add_task("loading", total=None)
        yield lambda result, done, total: bar.update(work, completed=done, total=total)


def line(result: Result) -> str:
    """Returns one line on what became of an object."""
    return f"{result.status} {result.uri}: {result.message}"
