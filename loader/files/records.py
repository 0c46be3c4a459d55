"""What passes from a file to COPY: blocks of a few thousand records, because working by column is faster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

Reason = Literal["fields", "date", "number", "name", "client"]
"""Why a row is rejected. The database takes any text: this is the one list of reasons."""

Row: TypeAlias = tuple[str | None, ...]


class Records(NamedTuple):
    """Neighbouring records of a file, each with its cells, the line on which it starts, and its text."""

    cells: list[list[str]]
    lines: Sequence[int]
    texts: Sequence[str]


class Table(NamedTuple):
    """A file as every format gives it: the titles of its columns, and blocks of records below them."""

    titles: list[str]
    blocks: Iterator[Records]


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be staged: where it starts, its text, why, and an unknown client's name."""

    line: int
    raw: str
    reason: Reason
    sentence: str
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring records: those that can be staged, as columns, and those that cannot."""

    columns: Sequence[Sequence[Any]]
    """One sequence of canonical text for each of columns.STAGED; only ctr can be None."""
    rejects: Sequence[Reject]

    @property
    def rows(self) -> list[Row]:
        """The columns as rows."""
        return list(zip(*self.columns, strict=True))
