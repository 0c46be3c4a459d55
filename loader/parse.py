"""From an object's unpacked bytes to rows ready for COPY and to rejects; no S3, no SQL."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import islice
from operator import getitem, itemgetter
from typing import BinaryIO, TypeAlias

from loader import values
from loader.errors import ContentError
from loader.feeds import Feed, Source
from loader.lines import LONGEST, lines
from loader.values import BadValueError, Memo, Numbers, client_key, normalised, printable

__all__ = ["COLUMNS", "Reject", "Row", "client_key", "parse"]

Row: TypeAlias = tuple[str | None, ...]
"""Canonical text in the order of COLUMNS; only ctr can be None."""

COUNTS = ("impressions", "clicks", "conversions")
NAMES = ("campaign_name", "strategy_name", "placement_name", "creative_name")
COLUMNS = ("client_id", "date", *NAMES, "impressions", "clicks", "ctr", "conversions", "conversion_revenue")
CHECKED = ("date", *COUNTS, "ctr", "conversion_revenue", *NAMES, "client_id")
"""The order in which a row is checked: the first rule that it breaks is the one it is rejected for."""

RAW_LENGTH = 10_000

csv.field_size_limit(max(csv.field_size_limit(), 2 * LONGEST))  # ours is the bound: lines.LONGEST


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be staged: where it starts, its text, why, and an unknown client's name."""

    line: int
    raw: str
    reason: values.Reason
    sentence: str
    client: str | None = None


def parse(
    stream: BinaryIO, feed: Feed, *, clients: Mapping[str, str], key_client: str | None, last_modified: date
) -> Iterator[Row | Reject]:
    """Yields the rows and rejects of a file, in its order.

    `clients` maps client_key() of each id and name to the id; `key_client` is what the object's key says.
    Raises ContentError where the file as a whole cannot be loaded.
    """
    skipped = feed.format.header_row - 1
    kept: list[str] = []
    physical = islice(lines(stream, feed.format.encoding), skipped, None)
    reader = csv.reader(_kept(physical, kept, skipped), delimiter=feed.format.delimiter)
    header = [normalised(title) for title in next(reader, [])]
    if not any(header):
        raise ContentError(f"line {skipped + 1} holds no header: correct format.header_row in feeds.yml")
    width = len(header)
    indexes, constants = _sources(feed, header, key_client)
    memos = _memos(feed, clients, last_modified + timedelta(days=1))
    cells = itemgetter(*indexes)
    ordered = itemgetter(*(CHECKED.index(column) for column in COLUMNS))
    kept.clear()
    line = reader.line_num
    for record in reader:
        try:
            if len(record) != width:
                if len(record) < 2 and not "".join(record).strip():
                    continue
                raise BadValueError("fields", f"{len(record)} fields where the header has {width}")
            if width == 1 and not record[0].strip():
                continue
            record += constants
            yield ordered(list(map(getitem, memos, cells(record))))
        except BadValueError as bad:
            yield Reject(line + skipped + 1, _raw(kept), bad.reason, bad.sentence, bad.client)
        finally:
            kept.clear()
            line = reader.line_num


def _kept(physical: Iterable[str], kept: list[str], skipped: int) -> Iterator[str]:
    """Passes lines on, keeping those of the record being read; whoever has read it empties `kept`."""
    size = 0
    for number, line in enumerate(physical, skipped + 1):
        size = size + len(line) if kept else len(line)
        kept.append(line)
        if size > LONGEST:
            raise ContentError(
                f"the record that starts at line {number - len(kept) + 1} has more than {LONGEST:,}"
                " characters: have the file delivered with its quotes closed"
            )
        yield line


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


def _memos(feed: Feed, clients: Mapping[str, str], latest: date) -> list[Memo]:
    """Returns the remembering reader of each of CHECKED."""
    form = feed.format
    numbers = {
        column: Numbers(column, form.decimal, form.currency, form.fractional)
        for column in (*COUNTS, "ctr", "conversion_revenue")
    }
    readers: dict[str, Callable[[str], str | None]] = {
        "date": partial(values.day, form=form.date, latest=latest),
        **{column: numbers[column].count for column in COUNTS},
        "ctr": numbers["ctr"].share,
        "conversion_revenue": numbers["conversion_revenue"].revenue,
        **{column: partial(values.name, column=column) for column in NAMES},
        "client_id": partial(values.client, clients=clients),
    }
    return [Memo(readers[column]) for column in CHECKED]


def _raw(kept: list[str]) -> str:
    """Returns a record's text as the table of rejects keeps it."""
    text = "".join(kept)
    text = text.removesuffix("\n").removesuffix("\r")
    cut = printable(text[:RAW_LENGTH])
    return cut if len(text) <= RAW_LENGTH else f"{cut}… ({len(text):,} characters)"
