"""From an object's unpacked bytes to rows ready for COPY and to rejects; no S3, no SQL."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import chain, compress
from operator import attrgetter
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from loader import values
from loader.errors import ContentError
from loader.feeds import Feed, Source
from loader.lines import LONGEST, blocks
from loader.values import BadValueError, Column, Numbers, client_key, normalised, printable

__all__ = ["COLUMNS", "Block", "Reject", "Row", "client_key", "parse"]

Row: TypeAlias = tuple[str | None, ...]
"""Canonical text in the order of COLUMNS; only ctr can be None."""

COUNTS = ("impressions", "clicks", "conversions")
NAMES = ("campaign_name", "strategy_name", "placement_name", "creative_name")
COLUMNS = ("client_id", "date", *NAMES, "impressions", "clicks", "ctr", "conversions", "conversion_revenue")
CHECKED = ("date", *COUNTS, "ctr", "conversion_revenue", *NAMES, "client_id")
"""The order in which a row is checked: the first rule that it breaks is the one it is rejected for."""

RAW_LENGTH = 10_000
END = "end"

csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST))  # ours is the bound: lines.LONGEST


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be staged: where it starts, its text, why, and an unknown client's name."""

    line: int
    raw: str
    reason: values.Reason
    sentence: str
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Some thousand neighbouring records: the columns of those that can be staged, and the rejects."""

    columns: Sequence[Sequence[Any]]
    """Canonical text in the order of COLUMNS; only ctr can be None."""
    rejects: Sequence[Reject]

    @property
    def rows(self) -> list[Row]:
        """The columns as rows."""
        return list(zip(*self.columns, strict=True))


class _Records(NamedTuple):
    """Neighbouring records, each with the number of the line where it starts and its text."""

    fields: list[list[str]]
    lines: Sequence[int]
    texts: Sequence[str]


def parse(
    stream: BinaryIO, feed: Feed, *, clients: Mapping[str, str], key_client: str | None, last_modified: date
) -> Iterator[Block]:
    """Yields the rows and rejects of a file, block by block: column-wise work costs half of row by row.

    `clients` maps client_key() of each id and name to the id; `key_client` is what the object's key says.
    Raises ContentError where the file as a whole cannot be loaded.
    """
    skipped = feed.format.header_row - 1
    physical = _after(skipped, blocks(stream, feed.format.encoding))
    found = _records(physical, feed.format.delimiter, skipped + 1)
    first = next(found, _Records([[]], [1], [""]))
    header = [normalised(title) for title in first.fields[0]]
    if not any(header):
        raise ContentError(f"line {skipped + 1} holds no header: correct format.header_row in feeds.yml")
    indexes, constants = _sources(feed, header, key_client)
    readers = _readers(feed, clients, last_modified + timedelta(days=1))
    rest = _Records(first.fields[1:], first.lines[1:], first.texts[1:])
    for records in chain([rest], found):
        whole, rejects = _of_width(records, len(header))
        if whole.fields:
            cells = [*zip(*whole.fields, strict=True), *((text,) * len(whole.fields) for text in constants)]
            yield _checked(readers, [cells[index] for index in indexes], whole, rejects)
        elif rejects:
            yield Block([()] * len(COLUMNS), rejects)


def _after(skipped: int, physical: Iterable[list[str]]) -> Iterator[list[str]]:
    """Leaves out the first lines."""
    for block in physical:
        yield block[skipped:]
        skipped = max(0, skipped - len(block))


def _records(physical: Iterable[list[str]], delimiter: str, line: int) -> Iterator[_Records]:
    """Yields the records of blocks of lines; a record may begin in one block and end in another."""
    held: list[str] = []
    for block in chain(physical, [None]):
        held += block or []
        ends = [END] if block is not None else []  # in an open record this line would be part of it
        fields = list(csv.reader(held + ends, delimiter=delimiter))
        rest: list[str] = []
        if len(fields) == len(held + ends) and sum(map(len, held)) <= LONGEST:  # one line each, as usual
            records = _Records(fields[: len(held)], range(line, line + len(held)), held)
        else:
            records, rest = _one_by_one(held, ends, delimiter, line)
        line += len(held) - len(rest)
        held = rest
        if records.fields:
            yield records


def _one_by_one(held: list[str], ends: list[str], delimiter: str, line: int) -> tuple[_Records, list[str]]:
    """Returns the records of some lines, and the lines of the last one where it is still open."""
    fields, lines, texts = [], [], []
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
        fields.append(record)
        lines.append(line + start)
        texts.append(text)
        start = reader.line_num
    return _Records(fields, lines, texts), held[start:]


def _of_width(records: _Records, width: int) -> tuple[_Records, list[Reject]]:
    """Takes out blank records and those with another number of fields than the header."""
    if width > 1 and set(map(len, records.fields)) == {width}:
        return records, []
    kept, rejects = [], []
    for fields, line, text in zip(*records, strict=True):
        if len(fields) < 2 and not "".join(fields).strip():
            continue
        if len(fields) == width:
            kept.append((fields, line, text))
        else:
            sentence = f"{len(fields)} fields where the header has {width}"
            rejects.append(Reject(line, _raw(text), "fields", sentence))
    return _Records(*map(list, zip(*kept, strict=True))) if kept else _Records([], [], []), rejects


def _checked(
    readers: Sequence[Column], cells: Sequence[Sequence[str]], records: _Records, rejects: list[Reject]
) -> Block:
    """Reads the cells, given in the order of CHECKED; a row's first error is what it is rejected for."""
    columns = [reader.read(texts) for reader, texts in zip(readers, cells, strict=True)]
    errors: dict[int, BadValueError] = {}
    for reader, column in zip(readers, columns, strict=True):
        if reader.refuses:
            found = ((row, value) for row, value in enumerate(column) if isinstance(value, BadValueError))
            errors = {**dict(found), **errors}
    if errors:
        good = [row not in errors for row in range(len(records.fields))]
        columns = [list(compress(column, good)) for column in columns]
        rejects += (
            Reject(records.lines[row], _raw(records.texts[row]), bad.reason, bad.sentence, bad.client)
            for row, bad in errors.items()
        )
        rejects.sort(key=attrgetter("line"))
    ordered = [columns[CHECKED.index(column)] for column in COLUMNS]
    return Block(ordered, rejects)


def _sources(feed: Feed, header: list[str], key_client: str | None) -> tuple[list[int], list[str]]:
    """Returns where each of CHECKED stands in a record that the returned constants were appended to."""
    sources: dict[str, Source | None] = {
        column: getattr(feed.columns, column) for column in CHECKED if column != "client_id"
    }
    named = feed.client.name if feed.client.key_group is None else key_client
    sources["client_id"] = feed.client.column or Source(constant=named or "")
    indexes: list[int] = []
    constants: list[str] = []
    for column in CHECKED:
        source = sources[column] or Source(constant="")  # unmapped is blank in every row
        if source.constant is None:
            indexes.append(_index("client" if column == "client_id" else column, source, header))
        else:
            indexes.append(len(header) + len(constants))
            constants.append(source.constant)
    return indexes, constants


def _index(column: str, source: Source, header: list[str]) -> int:
    if source.position is not None:
        if source.position > len(header):
            raise ContentError(
                f"{column} is mapped to position {source.position}, but the header has {len(header)} columns"
                f" ({_titles(header)}): correct the mapping in feeds.yml"
            )
        return source.position - 1
    title = normalised(source.header or "")
    found = [index for index, other in enumerate(header) if other == title]
    if not found:
        raise ContentError(
            f"{column} is mapped to the header {values.quoted(title)}, which the file does not have"
            f" (it has {_titles(header)}): correct the mapping in feeds.yml"
        )
    if len(found) > 1:
        positions = ", ".join(str(index + 1) for index in found[:10])
        raise ContentError(
            f"{column} is mapped to the header {values.quoted(title)}, which stands at the positions"
            f" {positions}: write {{position: {found[0] + 1}}} or another of them in feeds.yml"
        )
    return found[0]


def _titles(header: list[str]) -> str:
    titles = ", ".join(printable(title) for title in header[:100])
    return titles if len(titles) <= 1_000 and len(header) <= 100 else f"{titles[:1_000]}…"


def _readers(feed: Feed, clients: Mapping[str, str], latest: date) -> list[Column]:
    """Returns the reader of each of CHECKED."""
    form = feed.format
    numbers = {
        column: Numbers(column, form.decimal, form.currency, form.fractional)
        for column in (*COUNTS, "ctr", "conversion_revenue")
    }
    pointed = form.decimal == "."
    readers: dict[str, Column] = {
        "date": Column(partial(values.day, form=form.date, latest=latest)),
        **{column: Column(numbers[column].count, values.COUNT) for column in COUNTS},
        "ctr": Column(numbers["ctr"].share, values.SHARE if pointed else None),
        "conversion_revenue": Column(
            numbers["conversion_revenue"].revenue, values.REVENUE if pointed else None
        ),
        **{column: Column(partial(values.name, column=column)) for column in NAMES},
        "client_id": Column(partial(values.client, clients=clients)),
    }
    return [readers[column] for column in CHECKED]


def _raw(text: str) -> str:
    """Returns a record's text as the table of rejects keeps it."""
    text = text.removesuffix("\n").removesuffix("\r")
    cut = printable(text[:RAW_LENGTH])
    return cut if len(text) <= RAW_LENGTH else f"{cut}… ({len(text):,} characters)"
