"""What commands print: JSON for programs, tables for people, one sentence per failure on stderr."""

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
def open_database(to_stderr: bool = False) -> Iterator[Database]:
    """Yields the command's database and prints which one it is, on stderr if stdout is for programs."""
    with database() as db:
        print(db.description, file=sys.stderr if to_stderr else sys.stdout, flush=True)
        yield db


def on_one_line(text: object) -> str:
    """Returns the text on one line, with control characters escaped, so that it is safe to print."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def fail(sentence: str) -> None:
    """Prints a failure on stderr."""
    print(on_one_line(sentence), file=sys.stderr, flush=True)


def say(sentence: str) -> None:
    """Prints a line on stdout."""
    print(on_one_line(sentence), flush=True)


def print_json(value: Any) -> None:
    """Prints a dataclass, or a list of dataclasses, as JSON."""
    plain = [asdict(item) for item in value] if isinstance(value, list) else asdict(value)
    print(json.dumps(plain, default=str, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows as a table on a terminal, as tab-separated lines elsewhere; None is an empty cell."""
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join("" if value is None else on_one_line(value) for value in row))
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text("" if value is None else on_one_line(value)) for value in row))
    Console().print(table)
