"""Reads delimited text; a record is one line, or several if a quoted field contains line breaks."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from loader.errors import ContentError
from loader.files.format import Format
from loader.files.lines import MAX_CHARACTERS, blocks
from loader.files.records import Records, Table
from loader.names import normalised

END = "end"

# Above lines.MAX_CHARACTERS, so that it is never the limit that applies.
csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_CHARACTERS))


def read(stream: BinaryIO, format_: Format) -> Table:
    """Reads the header on line `header_row`, and the records below it. Raises ContentError."""
    skipped = format_.header_row - 1
    physical = _skip_lines(skipped, blocks(stream, format_.encoding))
    found = _records(physical, format_.delimiter, skipped + 1)
    first = next(found, Records([[]], [1], [""]))
    titles = [normalised(title) for title in first.cells[0]]
    if not any(titles):
        raise ContentError(f"line {skipped + 1} has no header: correct format.header_row in feeds.yml")
    return Table(titles, chain([Records(first.cells[1:], first.lines[1:], first.texts[1:])], found))


def _skip_lines(skipped: int, physical: Iterable[list[str]]) -> Iterator[list[str]]:
    """Drops the first `skipped` lines."""
    for block in physical:
        yield block[skipped:]
        skipped = max(0, skipped - len(block))


def _records(physical: Iterable[list[str]], delimiter: str, line: int) -> Iterator[Records]:
    """Yields the records of blocks of lines; a record may start in one block and end in another."""
    pending: list[str] = []
    for block in chain(physical, [None]):
        pending += block or []
        ends = [END] if block is not None else []  # becomes part of the last record if a quote is open
        cells = list(csv.reader(pending + ends, delimiter=delimiter))
        rest: list[str] = []
        # the usual case: one line per record
        if len(cells) == len(pending + ends) and sum(map(len, pending)) <= MAX_CHARACTERS:
            records = Records(cells[: len(pending)], range(line, line + len(pending)), pending)
        else:
            records, rest = _split_records(pending, ends, delimiter, line)
        line += len(pending) - len(rest)
        pending = rest
        if records.cells:
            yield records


def _split_records(
    pending: list[str], ends: list[str], delimiter: str, line: int
) -> tuple[Records, list[str]]:
    """Returns the records of the lines, and the lines of the last record if its quote is still open."""
    cells, lines, texts = [], [], []
    reader = csv.reader(pending + ends, delimiter=delimiter)
    start = 0
    for record in reader:
        text = "".join(pending[start : reader.line_num])
        if len(text) > MAX_CHARACTERS:
            raise ContentError(
                f"the record that starts at line {line + start} has more than {MAX_CHARACTERS:,} characters:"
                " have the file delivered with all quotes closed"
            )
        if reader.line_num > len(pending):
            break
        cells.append(record)
        lines.append(line + start)
        texts.append(text)
        start = reader.line_num
    return Records(cells, lines, texts), pending[start:]
