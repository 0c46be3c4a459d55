"""Delimited text: records of one line each, unless a line break stands between quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import BinaryIO

from loader.errors import ContentError
from loader.files.format import Format
from loader.files.lines import LONGEST, blocks
from loader.files.records import Records, Table
from loader.names import normalised

END = "end"

csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST))  # the bound that counts is lines.LONGEST


def read(stream: BinaryIO, form: Format) -> Table:
    """Reads the header on line `header_row`, and the records below it."""
    skipped = form.header_row - 1
    physical = _after(skipped, blocks(stream, form.encoding))
    found = _records(physical, form.delimiter, skipped + 1)
    first = next(found, Records([[]], [1], [""]))
    titles = [normalised(title) for title in first.cells[0]]
    if not any(titles):
        raise ContentError(f"line {skipped + 1} holds no header: correct format.header_row in feeds.yml")
    return Table(titles, chain([Records(first.cells[1:], first.lines[1:], first.texts[1:])], found))


def _after(skipped: int, physical: Iterable[list[str]]) -> Iterator[list[str]]:
    """Leaves out the first lines."""
    for block in physical:
        yield block[skipped:]
        skipped = max(0, skipped - len(block))


def _records(physical: Iterable[list[str]], delimiter: str, line: int) -> Iterator[Records]:
    """Yields the records of blocks of lines; a record may begin in one block and end in another."""
    held: list[str] = []
    for block in chain(physical, [None]):
        held += block or []
        ends = [END] if block is not None else []  # in an open record this line would be part of it
        cells = list(csv.reader(held + ends, delimiter=delimiter))
        rest: list[str] = []
        if len(cells) == len(held + ends) and sum(map(len, held)) <= LONGEST:  # one line each, as usual
            records = Records(cells[: len(held)], range(line, line + len(held)), held)
        else:
            records, rest = _one_by_one(held, ends, delimiter, line)
        line += len(held) - len(rest)
        held = rest
        if records.cells:
            yield records


def _one_by_one(held: list[str], ends: list[str], delimiter: str, line: int) -> tuple[Records, list[str]]:
    """Returns the records of some lines, and the lines of the last one where it is still open."""
    cells, lines, texts = [], [], []
    reader = csv.reader(held + ends, delimiter=delimiter)
    start = 0
    for record in reader:
        text = "".join(held[start : reader.line_num])
        if len(text) > LONGEST:
            raise ContentError(
                f"the record that starts at line {line + start} has more than {LONGEST:,} characters:"
                " have the file delivered with its quotes closed"
            )
        if reader.line_num > len(held):
            break
        cells.append(record)
        lines.append(line + start)
        texts.append(text)
        start = reader.line_num
    return Records(cells, lines, texts), held[start:]
