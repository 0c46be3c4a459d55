"""What commands print: JSON for programs, tables for people, one sentence per failure on stderr."""

from __future__ import annotations

import csv
import json
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any, NoReturn

import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loader.database.choice import database
from loader.database.connection import Database
from loader.database.waits import reporting_waits
from loader.errors import MediaError

TABLE_ROWS = 1_000


@contextmanager
def open_database(to_stderr: bool = False, report: Callable[[str], None] | None = None) -> Iterator[Database]:
    """Yields the command's database and prints which one it is, on stderr if stdout is for programs.

    If the command has to wait for another session, says so in the same way, or calls `report`.
    """
    write = fail if to_stderr else say
    with database() as db:
        write(db.description)
        with reporting_waits(db, report or write):
            yield db


def on_one_line(text: object) -> str:
    """Returns the text on one line, with control characters escaped, so that it is safe to print."""
    shown = str(text)
    return shown if shown.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


def fail(sentence: str) -> None:
    """Prints a failure on stderr."""
    print(on_one_line(sentence), file=sys.stderr, flush=True)


def say(sentence: str) -> None:
    """Prints a line on stdout."""
    print(on_one_line(sentence), flush=True)


def exit_interrupted() -> NoReturn:
    """Says so and ends the process with exit code 1, even if threads wait for S3 or for a lock."""
    sys.stdout.flush()
    print("interrupted", file=sys.__stderr__, flush=True)  # `media nightly` redirects sys.stderr
    if all(one.daemon or one is threading.current_thread() for one in threading.enumerate()):
        sys.exit(1)
    for child in psutil.Process().children():  # the server that Prefect starts if none is configured
        child.terminate()
    os._exit(1)


def print_json(value: Any) -> None:
    """Prints a dataclass as a JSON object, or dataclasses as a JSON array, one after the other."""
    if not isinstance(value, Iterable):
        print(_json(value))
        return
    separator = "[\n"
    for item in value:
        print(separator + textwrap.indent(_json(item), "  "), end="")
        separator = ",\n"
    print("[]" if separator == "[\n" else "\n]")


def _json(item: Any) -> str:
    return json.dumps(asdict(item), default=str, ensure_ascii=False, indent=2)


def spreadsheet_cell(value: object) -> object:
    """Returns a cell of a CSV that no spreadsheet executes and no terminal interprets.

    A text that starts like a formula gets an apostrophe. Control characters other than line breaks and tabs
    are escaped.
    """
    if not isinstance(value, str):
        return value
    shown = "".join(c if c.isprintable() or c in "\n\r\t" else repr(c)[1:-1] for c in value)
    return f"'{shown}" if shown.lstrip().startswith(("=", "+", "-", "@")) or shown[:1] in "\t\r" else shown


def write_csv(file: Path, kind: type, rows: Iterable[Any]) -> int:
    """Writes dataclasses of one kind to a CSV file with a header; returns how many. Raises MediaError."""
    count = 0
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(field.name for field in fields(kind))
            for count, row in enumerate(rows, 1):  # noqa: B007
                writer.writerow(map(spreadsheet_cell, astuple(row)))
    except OSError as error:
        raise MediaError(f"{file} cannot be written: {error.strerror}") from error
    return count


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows as a table on a terminal, as tab-separated lines elsewhere; None is an empty cell.

    A terminal gets the first TABLE_ROWS rows, and is told that there are more.
    """
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join("" if value is None else on_one_line(value) for value in row))
        return
    table = Table(*columns)
    for number, row in enumerate(rows):
        if number == TABLE_ROWS:
            table.caption = f"the first {TABLE_ROWS:,} rows; redirect the output to see all of them"
            break
        table.add_row(*(Text("" if value is None else on_one_line(value)) for value in row))
    Console().print(table)
