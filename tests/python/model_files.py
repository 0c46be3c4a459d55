"""docs/semantics.md in plain Python, its part on files: from an object's bytes to rows and rejects.

Like model.py, it is slow and obvious on purpose and imports nothing from the product.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import zstandard

LEVELS = ("campaign", "strategy", "placement", "creative")
COUNTS = ("impressions", "clicks", "conversions")
BIGINT = 2**63 - 1
FORMAT = {
    "delimiter": ",",
    "encoding": "utf-8",
    "date": "%Y-%m-%d",
    "decimal": ".",
    "header_row": 1,
    "currency": "",
    "fractional": "reject",
}


class UnloadableError(Exception):
    """The file as a whole cannot be loaded."""


class BadRowError(Exception):
    """One row cannot be staged; the argument is the reason code."""


class Row(NamedTuple):
    """One staged row; names are as in the file, before aliases."""

    client: str
    date: date
    campaign: str
    strategy: str
    placement: str
    creative: str
    impressions: int
    clicks: int
    ctr: Decimal | None
    conversions: int
    revenue: Decimal


class Reject(NamedTuple):
    """A rejected row: the line where its record starts, the reason, the unknown client and its date."""

    line: int
    reason: str  # the first that applies: fields, date, number, name, client
    client: str | None = None
    date: date | None = None


def rounded(value: Fraction, scale: int) -> Decimal:
    """Rounds half away from zero, exactly."""
    units = int(abs(value) * 10**scale + Fraction(1, 2))
    return Decimal(f"{'-' if value < 0 and units else ''}{units}e-{scale}")


def fitting(value: Decimal, scale: int) -> Decimal | None:
    """Returns the value, or None if numeric(12, scale) cannot hold it."""
    return value if abs(value) < Decimal(10) ** (12 - scale) else None


def number(text: str, form: Mapping[str, Any], percent: bool = False) -> Fraction | None:
    """Reads a cell's number; returns None for blank, - and --."""
    text = text.strip()
    if text in ("", "-", "--"):
        return None
    point, comma = re.escape(form["decimal"]), "," if form["decimal"] == "." else "."
    # the sign can be on either side of the currency
    sign, currency = "(?P<sign>[+-]?)", f"(?:{re.escape(form['currency'])})?"
    whole = rf"(?P<whole>[0-9]+|[0-9]{{1,3}}(?:{re.escape(comma)}[0-9]{{3}})+|)"
    tail = rf"(?:{point}(?P<decimals>[0-9]*))?\s*{currency}(?P<percent>\s*%)?"
    match = re.fullmatch(rf"{currency}\s*{sign}\s*{currency}\s*{whole}{tail}", text)
    if not match or not re.search("[0-9]", text) or (match["percent"] and not percent):
        raise BadRowError("number")
    if form["currency"] and text.count(form["currency"]) > 1:
        raise BadRowError("number")
    digits = f"{match['sign']}{match['whole'].replace(comma, '') or 0}.{match['decimals'] or 0}"
    return Fraction(digits) / (100 if match["percent"] else 1)


def count(text: str, form: Mapping[str, Any]) -> int:
    """Reads a count: not negative, within bigint, and whole unless the feed rounds."""
    value = number(text, form) or Fraction()
    if value < 0 or (value.denominator != 1 and form["fractional"] != "round"):
        raise BadRowError("number")
    if (units := int(rounded(value, 0))) > BIGINT:
        raise BadRowError("number")
    return units


def figure(value: Fraction, scale: int) -> Decimal:
    """Rounds a row's figure; one that is too big for the column is a bad number."""
    if (fits := fitting(rounded(value, scale), scale)) is None:
        raise BadRowError("number")
    return fits


def day(text: str, form: Mapping[str, Any], latest: date) -> date:
    """Reads a date from 2000 to the day after the object's last-modified day."""
    try:
        found = datetime.strptime(text.strip(), form["date"]).date()
    except ValueError as unparsable:
        raise BadRowError("date") from unparsable
    if not date(2000, 1, 1) <= found <= latest:
        raise BadRowError("date")
    return found


def normal(text: str) -> str:
    """Trims, and normalizes to NFC."""
    return unicodedata.normalize("NFC", text).strip()


def folded(text: str) -> str:
    """Returns a client's name or id in the form in which it is compared."""
    return normal(text).casefold()


def name(text: str) -> str:
    """Returns a name in the form in which it is staged."""
    text = normal(text)
    if len(text) > 255 or "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadRowError("name")  # the last: an unpaired surrogate, which no database can hold
    return text or "(not set)"


def only_member(packed: bytes) -> bytes:
    """Unpacks a zip with exactly one member."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (member,) = (name for name in archive.namelist() if not name.endswith("/"))
        return archive.read(member)


def frames(packed: bytes) -> bytes:
    """Unpacks zstd frame by frame; each frame must be complete."""
    unpacked = b""
    while packed:
        frame = zstandard.ZstdDecompressor().decompressobj()
        unpacked += frame.decompress(packed)
        if not frame.eof:
            raise EOFError
        packed = frame.unused_data
    return unpacked


MAGIC: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b\x08": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"\x28\xb5\x2f\xfd": frames,
    b"PK\x03\x04": only_member,
}


def decompressed(content: bytes) -> bytes:
    """Unpacks by the signature in the content; fails for a zero-byte object and for a broken archive."""
    unpack = next((unpack for magic, unpack in MAGIC.items() if content.startswith(magic)), bytes)
    if not content:
        raise UnloadableError
    try:
        return unpack(content)
    except Exception as broken:  # whatever the five libraries raise
        raise UnloadableError from broken


def cell_of(source: Any, header: list[str]) -> Callable[[list[str]], str]:
    """Returns a function that reads a column: from a constant, a 1-based position, or a title."""
    if isinstance(source, Mapping) and "constant" in source:
        return lambda _: str(source["constant"])
    if isinstance(source, Mapping):
        index = source["position"] - 1
    elif header.count(normal(source)) == 1:
        index = header.index(normal(source))
    else:
        raise UnloadableError  # missing or repeated
    if index >= len(header):
        raise UnloadableError
    return lambda record: record[index]


def read(
    content: bytes,
    feed: Mapping[str, Any],
    clients: Mapping[str, str],
    key_client: str | None,
    modified: date,
) -> tuple[list[Row], list[Reject]]:
    """Reads decompressed content; `clients` maps folded ids and names to ids."""
    form = FORMAT | feed.get("format", {})
    try:
        text = content.decode(form["encoding"]).removeprefix("\ufeff")
    except (LookupError, UnicodeError) as unreadable:
        raise UnloadableError from unreadable
    lines = io.StringIO(text, newline="").readlines()[form["header_row"] - 1 :]
    records = csv.reader(lines, delimiter=form["delimiter"])
    header = [normal(title) for title in next(records, [])]
    if not any(header):
        raise UnloadableError
    cells = {column: cell_of(source, header) for column, source in feed["columns"].items()}
    if "column" in feed["client"]:
        cells["client"] = cell_of(feed["client"]["column"], header)
    else:
        cells["client"] = cell_of({"constant": feed["client"].get("name", key_client) or ""}, header)
    rows: list[Row] = []
    rejects: list[Reject] = []
    end = records.line_num
    for record in records:
        line, end = end + form["header_row"], records.line_num
        if len(record) <= 1 and not "".join(record).strip():
            continue  # blank lines are not rows
        found = row(record, len(header), cells, form, clients, modified + timedelta(days=1))
        if isinstance(found, Row):
            rows.append(found)
        else:
            rejects.append(found._replace(line=line))
    return rows, rejects


def row(
    record: list[str],
    width: int,
    cells: Mapping[str, Callable[[list[str]], str]],
    form: Mapping[str, Any],
    clients: Mapping[str, str],
    latest: date,
) -> Row | Reject:
    """Reads one record; rejects it with the first reason that applies."""
    if len(record) != width:
        return Reject(0, "fields")
    text = {column: cell(record) for column, cell in cells.items()}
    try:
        on = day(text["date"], form, latest)
        impressions, clicks, conversions = (count(text.get(column, ""), form) for column in COUNTS)
        ctr = number(text.get("ctr", ""), form, percent=True)
        share = None if ctr is None else figure(ctr, 6)
        revenue = figure(number(text.get("conversion_revenue", ""), form) or Fraction(), 2)
        campaign, strategy, placement, creative = (name(text.get(f"{level}_name", "")) for level in LEVELS)
    except BadRowError as reason:
        return Reject(0, str(reason))
    client = clients.get(folded(text["client"]))
    if client is None:
        return Reject(0, "client", text["client"], on)
    return Row(
        client, on, campaign, strategy, placement, creative, impressions, clicks, share, conversions, revenue
    )


def check_share(rows: list[Row], rejects: list[Reject], limit: Fraction) -> None:
    """Raises UnloadableError if no row can be staged, or too many are bad (unknown clients left out)."""
    bad = sum(reject.reason != "client" for reject in rejects)
    if rejects and (not rows or Fraction(bad, bad + len(rows)) > limit):
        raise UnloadableError
