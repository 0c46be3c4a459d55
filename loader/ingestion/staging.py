"""Writes the content of one file with COPY: good rows, rejected rows, and the days that the run covers."""

from __future__ import annotations

import gzip
import hashlib
import io
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import islice, repeat
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from loader.files.columns import STAGED, Kind
from loader.files.records import Block, Reject
from loader.files.values import NOT_SET

COPY_ROWS = sql.SQL("copy media.staging_media_raw (id, ingestion_run_id, {}) from stdin").format(
    sql.SQL(", ").join(map(sql.Identifier, STAGED))
)
COPY_REJECTS = """
copy media_ops.rejected_rows (run_id, line_number, raw_line, reason, sentence, client_name) from stdin
"""
COPY_RUN_DAYS = "copy media_ops.run_days (run_id, client_id, date, row_count) from stdin"
SUMMARY_ROWS: Any = (Path(__file__).parent / "sql" / "summary_rows.sql").read_text(encoding="utf-8")
NAMES_REMEMBERED = 100_000
SPOOLED_BYTES = 1 << 22
BLOCK_BYTES = 1 << 18
NULL = r"\N"
ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\0": "␀"})


class _Escaped(dict[str | None, str]):
    """Caches names escaped for COPY's text format, because the same few names repeat."""

    def __missing__(self, value: str | None) -> str:
        if len(self) >= NAMES_REMEMBERED:
            self.clear()
        escaped = self[value] = NULL if value is None else value.translate(ESCAPES)
        return escaped


class RowIds:
    """Generates the ids of one run's rows: UUIDs of version 7, which sort by time (RFC 9562, section 5.7).

    The column's default would work too, but a server built without OpenSSL then opens /dev/urandom for every
    row, which is a third of COPY's time.
    """

    def __init__(self) -> None:
        # version and 12 random bits, variant and 30 random bits: fixed per run; a counter per row follows
        self._run = f"7{secrets.randbits(12):03x}{0b10 << 30 | secrets.randbits(30):08x}"
        self._given = 0

    def next(self, count: int) -> Iterator[str]:
        """Returns `count` new ids, as hexadecimal digits without hyphens."""
        first, self._given = self._given, self._given + count
        milliseconds = time.time_ns() // 1_000_000
        return map(f"{milliseconds:012x}{self._run}%08x".__mod__, range(first, self._given))


class Rejects:
    """Collects a run's rejected rows (on disk if many), because a connection runs one COPY at a time.

    They are compressed: a row of two bytes becomes a hundred, and an archive can unpack to millions of them.
    """

    def __init__(self, run: UUID) -> None:
        self._run = str(run)
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115
        self._lines = gzip.GzipFile(fileobj=self._spool, mode="wb", compresslevel=1)
        self.reasons: Counter[str] = Counter()
        self.clients: Counter[str] = Counter()
        self.days: set[date] = set()
        """The days of the rows whose client is unknown."""
        self.first: str = ""

    def add(self, reject: Reject) -> None:
        """Adds a rejected row."""
        self.first = self.first or reject.sentence
        self.reasons[reject.reason] += 1
        if reject.day is not None:
            self.days.add(date.fromisoformat(reject.day))
        if reject.client is not None and (reject.client in self.clients or len(self.clients) < 1000):
            self.clients[reject.client] += 1
        texts = (self._run, str(reject.line), reject.raw, reject.reason, reject.sentence)
        fields = [text.translate(ESCAPES) for text in texts]
        fields.append(NULL if reject.client is None else reject.client.translate(ESCAPES))
        # a line may contain characters that UTF-8 cannot encode
        self._lines.write("\t".join(fields).encode("utf-8", "backslashreplace") + b"\n")

    def __len__(self) -> int:
        return self.reasons.total()

    def write(self, connection: psycopg.Connection, limit: int | None = None) -> None:
        """Copies the rejected rows, or the first `limit`, into rejected_rows. Only close() may follow."""
        self._lines.close()
        self._spool.seek(0)
        with (
            gzip.GzipFile(fileobj=self._spool, mode="rb") as lines,
            connection.cursor() as cursor,
            cursor.copy(COPY_REJECTS) as copy,
        ):
            for line in islice(lines, limit):
                copy.write(line)

    def close(self) -> None:
        """Deletes the temporary file."""
        self._lines.close()
        self._spool.close()


class Staged(NamedTuple):
    """What stage() staged."""

    rows: Counter[tuple[str, str]]
    """The number of rows by (client id, date)."""
    skipped: int
    """The number of rows that `skip` left out."""
    has_row_without_names: bool


def stage(
    connection: psycopg.Connection,
    run: UUID,
    blocks: Iterable[Block],
    rejects: Rejects,
    names: Sequence[str],
    staged: Callable[[int], None],
) -> Staged:
    """Copies the good rows into staging_media_raw and adds the others to `rejects`.

    `names` are the columns with names that come from the file. Calls `staged` with the number of rows of each
    block.
    """
    covered: Counter[tuple[str, str]] = Counter()
    skipped, without_names = 0, False
    escaped, ids, identity = _Escaped(), RowIds(), str(run)
    with connection.cursor() as cursor, cursor.copy(COPY_ROWS) as copy:
        for block in blocks:
            skipped += block.skipped
            for reject in block.rejects:
                rejects.add(reject)
            if not block.columns[0]:
                continue
            columns = dict(zip(STAGED, block.columns, strict=True))
            days = columns["date"]
            covered.update(zip(columns["client_id"], days, strict=True))
            without_names = without_names or _has_row_without_names([columns[name] for name in names])
            texts = [_texts(STAGED[column], cells, escaped) for column, cells in columns.items()]
            keys = (ids.next(len(days)), repeat(identity, len(days)))
            lines = map("\t".join, zip(*keys, *texts, strict=True))
            copy.write("\n".join(lines) + "\n")
            staged(len(days))
    return Staged(covered, skipped, without_names)


def _has_row_without_names(columns: Sequence[Sequence[str]]) -> bool:
    if not columns or not all(NOT_SET in column for column in columns):  # nearly every block
        return False
    return (NOT_SET,) * len(columns) in zip(*columns, strict=True)


def _texts(kind: Kind, cells: Sequence[Any], escaped: _Escaped) -> Iterable[str]:
    """Returns a column's values for COPY's text format; only names can contain characters to escape."""
    if kind == "name":
        return map(escaped.__getitem__, cells)
    return [NULL if cell is None else cell for cell in cells] if kind == "share" else cells


def write_run_days(connection: psycopg.Connection, run: UUID, covered: Counter[tuple[str, str]]) -> None:
    """Copies the number of rows by (client id, date) into media_ops.run_days."""
    with connection.cursor() as cursor, cursor.copy(COPY_RUN_DAYS) as copy:
        for (client, day), count in covered.items():
            copy.write_row((run, client, day, count))


def write_summary_rows(connection: psycopg.Connection, run: UUID, names: Sequence[str]) -> None:
    """Finds the run's rows without any of these `names` that contain the sum of its other rows."""
    has_no_name = sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(NOT_SET)) for name in names
    )
    connection.execute(sql.SQL(SUMMARY_ROWS).format(has_no_name=has_no_name), {"run": run})


class HashingReader(io.RawIOBase):
    """A stream that computes the sha256 of everything read through it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def readable(self) -> bool:  # noqa: D102 (part of the interface of RawIOBase)
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads up to len(buffer) bytes."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        return len(data)

    def sha256(self) -> str:
        """Reads the rest of the stream; returns the sha256 of all of it, in hexadecimal."""
        while data := self._stream.read(BLOCK_BYTES):
            self._digest.update(data)
        return self._digest.hexdigest()
