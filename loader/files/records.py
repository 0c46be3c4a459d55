"""The types passed from a file to COPY: blocks of a few thousand records, as working by column is faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Reason = Literal["fields", "date", "number", "name", "client"]
"""Why a row is rejected. The database accepts any text; this is the only list of reasons."""

Row: TypeAlias = tuple[str | None, ...]


class Records(NamedTuple):
    """Consecutive records of a file: for each its cells, its first line number (from 1), and its raw text."""

    cells: list[list[str]]
    lines: Sequence[int]
    texts: Sequence[str]


class Table(NamedTuple):
    """What every format returns: the titles of the columns, and the records in blocks."""

    titles: list[str]
    blocks: Iterator[Records]


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected row: its first line, raw text, reason, an explanation.

    If the client is unknown, also the client's name and the row's day.
    """

    line: int
    raw: str
    reason: Reason
    sentence: str
    client: str | None = None
    day: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive records: the good rows, as columns, and the rejected rows."""

    columns: Sequence[Sequence[Any]]
    """For each column of columns.STAGED, the values as canonical text; only ctr can be None."""
    rejects: Sequence[Reject]
    skipped: int = 0
    """How many rows `skip` left out."""

    @property
    def rows(self) -> list[Row]:
        """The good rows, each in the order of columns.STAGED."""
        return list(zip(*self.columns, strict=True))
