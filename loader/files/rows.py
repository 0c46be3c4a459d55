"""Converts a file's records to rows for COPY and to rejected rows; uses neither S3 nor SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import compress
from operator import attrgetter
from typing import Any, BinaryIO

from loader.errors import ContentError
from loader.files import values
from loader.files.columns import CHECKED, STAGED, Kind
from loader.files.feeds import Feed, Source
from loader.files.format import Format
from loader.files.formats import csv
from loader.files.records import Block, Records, Reject, Table
from loader.files.values import BadValueError, Column, Numbers
from loader.names import normalised, quoted, storable

FORMATS: Mapping[str, Callable[[BinaryIO, Format], Table]] = {"csv": csv.read}
"""The reader for each `format.type`; raises ContentError if the file has another format or no header."""

RAW_LENGTH = 10_000


def parse(
    stream: BinaryIO, feed: Feed, *, clients: Mapping[str, str], key_client: str | None, last_modified: date
) -> Iterator[Block]:
    """Yields the good and rejected rows of a decompressed file, block by block.

    `clients` maps client_key() of each id and name to the id; `key_client` is the client in the object's key.
    Dates later than the day after `last_modified` are rejected. Raises ContentError if the file cannot be
    loaded as a whole.
    """
    titles, blocks = FORMATS[feed.format.type](stream, feed.format)
    indexes, constants = _sources(feed, titles, key_client)
    readers = _readers(feed, clients, last_modified + timedelta(days=1))
    skips = [(_index("skip", rule.column, titles), _Matches(rule.matches)) for rule in feed.skip]
    for records in blocks:
        rows, skipped = _leave_out(records, skips) if skips else (records, 0)
        kept, rejects = _check_width(rows, len(titles))
        if kept.cells:
            cells = [*zip(*kept.cells, strict=True), *((text,) * len(kept.cells) for text in constants)]
            block = _checked(readers, [cells[index] for index in indexes], kept, rejects)
            yield replace(block, skipped=skipped)
        elif rejects or skipped:
            yield Block([()] * len(STAGED), rejects, skipped)


class _Matches(dict[str, bool]):
    """Whether a cell matches a pattern; caches the results by text."""

    LIMIT = 50_000

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__()
        self._pattern = pattern

    def __missing__(self, text: str) -> bool:
        if len(self) >= self.LIMIT:
            self.clear()
        found = self[text] = self._pattern.search(normalised(text)) is not None
        return found


def _leave_out(records: Records, skips: Sequence[tuple[int, _Matches]]) -> tuple[Records, int]:
    """Returns the records that no rule matches, and how many rows the others are: a blank line is not one."""
    kept = [
        not any(index < len(cells) and matches[cells[index]] for index, matches in skips)
        for cells in records.cells
    ]
    if all(kept):
        return records, 0
    rows = sum(
        not keep and bool("".join(cells).strip()) for keep, cells in zip(kept, records.cells, strict=True)
    )
    cells, lines, texts = records
    return Records([*compress(cells, kept)], [*compress(lines, kept)], [*compress(texts, kept)]), rows


def _check_width(records: Records, width: int) -> tuple[Records, list[Reject]]:
    """Drops blank records, and rejects those whose number of fields differs from the header's (`width`)."""
    if width > 1 and set(map(len, records.cells)) == {width}:
        return records, []
    kept, rejects = [], []
    for fields, line, text in zip(*records, strict=True):
        if len(fields) < 2 and not "".join(fields).strip():
            continue
        if len(fields) == width:
            kept.append((fields, line, text))
        else:
            sentence = f"{len(fields)} fields, but the header has {width}"
            rejects.append(Reject(line, _raw(text), "fields", sentence))
    return Records(*map(list, zip(*kept, strict=True))) if kept else Records([], [], []), rejects


def _checked(
    readers: Sequence[Column], cells: Sequence[Sequence[str]], records: Records, rejects: list[Reject]
) -> Block:
    """Reads the cells of the columns CHECKED, in that order; rejects each row for its first error."""
    columns = [reader.read(texts) for reader, texts in zip(readers, cells, strict=True)]
    errors: dict[int, BadValueError] = {}
    for reader, column in zip(readers, columns, strict=True):
        if reader.has_errors:
            found = ((row, value) for row, value in enumerate(column) if isinstance(value, BadValueError))
            errors = {**dict(found), **errors}
    if errors:
        days: Sequence[Any] = columns[CHECKED.index("date")]
        good = [row not in errors for row in range(len(records.cells))]
        columns = [list(compress(column, good)) for column in columns]
        rejects += (
            Reject(
                *(records.lines[row], _raw(records.texts[row]), bad.reason, bad.sentence, bad.client),
                days[row] if bad.reason == "client" else None,
            )
            for row, bad in errors.items()
        )
        rejects.sort(key=attrgetter("line"))
    ordered = [columns[CHECKED.index(column)] for column in STAGED]
    return Block(ordered, rejects)


def _sources(feed: Feed, header: list[str], key_client: str | None) -> tuple[list[int], list[str]]:
    """Returns the index in a record of each column CHECKED, and the constants to append to every record."""
    named = feed.client.name if feed.client.key_group is None else key_client
    sources = {**feed.columns, "client_id": feed.client.column or Source(constant=named or "")}
    indexes: list[int] = []
    constants: list[str] = []
    for column in CHECKED:
        source = sources.get(column, Source(constant=""))  # an unmapped column is blank in every row
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
            f"{column} is mapped to the header {quoted(title)}, which is missing from the file"
            f" (it has {_titles(header)}): correct the mapping in feeds.yml"
        )
    if len(found) > 1:
        positions = ", ".join(str(index + 1) for index in found[:10])
        raise ContentError(
            f"{column} is mapped to the header {quoted(title)}, which occurs at positions"
            f" {positions}: map one of them in feeds.yml, such as {{position: {found[0] + 1}}}"
        )
    return found[0]


def _titles(header: list[str]) -> str:
    titles = ", ".join(storable(title) for title in header[:100])
    return titles if len(titles) <= 1_000 and len(header) <= 100 else f"{titles[:1_000]}…"


def _readers(feed: Feed, clients: Mapping[str, str], latest: date) -> list[Column]:
    """Returns the reader of each column CHECKED; `latest` is the last valid date."""
    format_ = feed.format
    decimal_point = format_.decimal == "."

    def numbers(column: str) -> Numbers:
        return Numbers(column, format_.decimal, format_.currency, format_.fractional)

    kinds: Mapping[Kind, Callable[[str], Column]] = {
        "date": lambda _: Column(partial(values.day, date_format=format_.date, latest=latest)),
        "count": lambda column: Column(numbers(column).count, values.COUNT),
        "share": lambda column: Column(numbers(column).share, values.SHARE if decimal_point else None),
        "amount": lambda column: Column(numbers(column).revenue, values.REVENUE if decimal_point else None),
        "name": lambda column: Column(partial(values.name, column=column)),
        "client": lambda _: Column(partial(values.client, clients=clients)),
    }
    return [kinds[STAGED[column]](column) for column in CHECKED]


def _raw(text: str) -> str:
    """Returns a record's text as stored in rejected_rows, cut to RAW_LENGTH."""
    text = text.removesuffix("\n").removesuffix("\r")
    cut = storable(text[:RAW_LENGTH])
    return cut if len(text) <= RAW_LENGTH else f"{cut}… ({len(text):,} characters)"
