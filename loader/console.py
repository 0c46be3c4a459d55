"""How commands speak: JSON for programs, tables for people, one sentence a failure on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loader.database.choice import database
from loader.database.connection import Database


@contextmanager
def opened(aside: bool = False) -> Iterator[Database]:
    """Yields the database of the command and says which it is; on stderr where stdout is for programs."""
    with database() as db:
        print(db.description, file=sys.stderr if aside else sys.stdout, flush=True)
        yield db


def on_one_line(text: object) -> str:
    """Returns a stranger's text as a terminal can show it, on one line, without control characters."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def fail(sentence: str) -> None:
    """Says what failed."""
    print(on_one_line(sentence), file=sys.stderr, flush=True)


def say(sentence: str) -> None:
    """Says what was done."""
    print(on_one_line(sentence), flush=True)


def print_json(things: Any) -> None:
    """Prints dataclasses, or lists of them, as JSON."""
    plain = [asdict(thing) for thing in things] if isinstance(things, list) else asdict(things)
    print(json.dumps(plain, default=str, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table on a terminal, tab-separated lines elsewhere."""
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join("" if value is None else on_one_line(value) for value in row))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text("" if value is None else on_one_line(value)) for value in row))
    Console().print(table)
