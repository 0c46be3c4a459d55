"""Converts the text of a cell to the text sent to PostgreSQL: dates, counts, amounts, names, clients.

Each function raises BadValueError with the reason of the first rule that the cell breaks. Numbers are handled
as digits, never as floats: that is exact, and its cost is bounded even for a hostile cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from loader.files.records import Reason
from loader.names import NAME_LENGTH, client_key, normalised, quoted, storable

FIRST_DAY = date(2000, 1, 1)
BIGINT = 2**63 - 1
NUMERIC_DIGITS = 12
NOT_SET = "(not set)"
# Most numbers match these patterns. Treating them separately saves seconds per million.
COUNT = r"(?:0|[1-9][0-9]{0,17})"
REVENUE = r"(?:0|[1-9][0-9]{0,9})\.[0-9]{2}"
SHARE = r"(?:0|[1-9][0-9]{0,5})\.[0-9]{6}"
PLAIN_COUNT = re.compile(COUNT)
PLAIN_REVENUE = re.compile(REVENUE)
PLAIN_SHARE = re.compile(r"(?:0|[1-9][0-9]{0,5})\.([0-9]{1,6})")


class BadValueError(Exception):
    """A cell that cannot be staged; `client` is the unknown client's name, for reason "client" only."""

    def __init__(self, reason: Reason, sentence: str, client: str | None = None) -> None:
        super().__init__(sentence)
        self.reason: Reason = reason
        self.sentence = sentence
        self.client = client


class Number(NamedTuple):
    """A parsed number: the digits before and after the decimal sign, without superfluous zeros."""

    negative: bool
    whole: str
    decimals: str
    percent: bool

    def units(self, scale: int) -> int:
        """Returns the absolute value times 10**scale, rounded half away from zero."""
        scale -= 2 * self.percent
        units = int((self.whole + self.decimals[:scale].ljust(scale, "0")) or "0")
        return units + (self.decimals[scale : scale + 1] >= "5")


class Numbers:
    """Parses the numbers of one column of one feed."""

    def __init__(self, column: str, decimal: str, currency: str, fractional: str) -> None:
        self.column = column
        self.rounds = fractional == "round"
        self.currency = currency
        self.thousands = "," if decimal == "." else "."
        self.plain = decimal == "."  # whether PLAIN_REVENUE and PLAIN_SHARE apply
        sign, comma = f"(?:{re.escape(currency)})?", re.escape(self.thousands)
        # Possessive *+ prevents backtracking on a cell full of spaces.
        self.pattern = re.compile(
            rf"{sign}\s*+(?P<sign>[+-]?)\s*+{sign}"
            rf"(?P<whole>[0-9]+|[0-9]{{1,3}}(?:{comma}[0-9]{{3}})+|)"
            rf"(?:{re.escape(decimal)}(?P<decimals>[0-9]*+))?\s*+{sign}(?P<percent>\s*+%)?"
        )

    def count(self, text: str) -> str:
        """Parses a count that fits a bigint; blank is 0."""
        if PLAIN_COUNT.fullmatch(text):
            return text
        number = self._number(text)
        if number is None:
            return "0"
        if number.percent:
            raise self._bad(text, "is not a count")
        if number.negative:
            raise self._bad(text, "is a negative count")
        if number.decimals and not self.rounds:
            raise self._bad(text, "is a fraction (to round fractions, set fractional: round in feeds.yml)")
        if len(number.whole) > 19 or (units := number.units(0)) > BIGINT:
            raise self._bad(text, "is too big")
        return str(units)

    def revenue(self, text: str) -> str:
        """Parses an amount that fits decimal(12,2), rounded half away from zero; blank is 0."""
        bare = text.removeprefix(self.currency)
        if self.plain and PLAIN_REVENUE.fullmatch(bare):
            return bare
        number = self._number(text)
        if number is None:
            return "0.00"
        if number.percent:
            raise self._bad(text, "is not an amount")
        return self._figure(text, number, 2)

    def share(self, text: str) -> str | None:
        """Parses a fraction or percentage that fits decimal(12,6); blank is null."""
        if self.plain and (found := PLAIN_SHARE.fullmatch(text)):
            return text + "0" * (6 - len(found[1]))
        number = self._number(text)
        return None if number is None else self._figure(text, number, 6)

    def _figure(self, text: str, number: Number, scale: int) -> str:
        if len(number.whole) > NUMERIC_DIGITS:
            raise self._bad(text, "is too big")
        units = number.units(scale)
        if units >= 10**NUMERIC_DIGITS:
            raise self._bad(text, "is too big")
        digits = f"{units:0{scale + 1}d}"
        return f"{'-' if number.negative and units else ''}{digits[:-scale]}.{digits[-scale:]}"

    def _number(self, text: str) -> Number | None:
        """Splits a number into its parts; None for blank, - and --."""
        stripped = text.strip()
        if stripped in ("", "-", "--"):
            return None
        found = self.pattern.fullmatch(stripped)
        if (
            not found
            or not (found["whole"] or found["decimals"])
            or (self.currency and stripped.count(self.currency) > 1)
        ):
            raise self._bad(text, "is not a number in the feed's format")
        whole = found["whole"].replace(self.thousands, "").lstrip("0")
        decimals = (found["decimals"] or "").rstrip("0")
        negative = found["sign"] == "-" and bool(whole or decimals)
        return Number(negative, whole, decimals, found["percent"] is not None)

    def _bad(self, text: str, what: str) -> BadValueError:
        return BadValueError("number", f"{self.column} {quoted(text)} {what}")


def day(text: str, date_format: str, latest: date) -> str:
    """Parses a date from 2000-01-01 to `latest`; returns it as YYYY-MM-DD."""
    try:
        found = datetime.strptime(text.strip(), date_format).date()
    except (ValueError, OverflowError):
        raise BadValueError("date", f"date {quoted(text)} does not match the format {date_format}") from None
    if found < FIRST_DAY:
        raise BadValueError("date", f"date {quoted(text)} is before 2000")
    if found > latest:
        raise BadValueError(
            "date", f"date {quoted(text)} is later than {latest}, the day after the file was last modified"
        )
    return found.isoformat()


def name(text: str, column: str) -> str:
    """Trims and NFC-normalises a name of at most NAME_LENGTH characters; a blank one becomes NOT_SET."""
    normal = normalised(text)
    if len(normal) > NAME_LENGTH:
        raise BadValueError("name", f"{column} has {len(normal):,} characters, more than {NAME_LENGTH}")
    if "\0" in normal:
        raise BadValueError("name", f"{column} {quoted(text)} contains a NUL character")
    if not normal.isascii() and storable(normal) != normal:
        raise BadValueError("name", f"{column} {quoted(text)} contains an unpaired surrogate")
    return normal or NOT_SET


def client(text: str, clients: Mapping[str, str]) -> str:
    """Returns the id of the client with this name or id; `clients` is that of rows.parse()."""
    found = clients.get(client_key(text))
    if found is None:
        shown = storable(normalised(text)[: NAME_LENGTH + 1])
        if not shown:
            raise BadValueError("client", "the client is blank", shown)
        raise BadValueError(
            "client",
            f"client {quoted(text)} is unknown: add it, then load with --retry",
            shown if len(shown) <= NAME_LENGTH else shown[: NAME_LENGTH - 1] + "…",
        )
    return found


class Column(dict[str, "str | BadValueError | None"]):
    """Reads the cells of one column; caches the results by text, and empties the cache when it is full."""

    LIMIT = 50_000
    LENGTH = 300  # longer texts are not cached

    def __init__(self, read: Callable[[str], str | None], plain: str | None = None) -> None:
        super().__init__()
        self._read = read
        # Figures rarely repeat, so one match checks whether a whole block is canonical already.
        # (Not possessive, *+: before Python 3.11.5 that matches too much.)
        self._plain = None if plain is None else re.compile(rf"(?:{plain}\n)*{plain}")
        self.has_errors = False
        """Whether any cell so far was bad."""

    def read(self, texts: Sequence[str]) -> Sequence[str | BadValueError | None]:
        """Returns the value of each cell, in order; for a bad cell, its BadValueError."""
        if self._plain is not None:
            joined = "\n".join(texts)
            if self._plain.fullmatch(joined) and joined.count("\n") == len(texts) - 1:
                return texts
        return list(map(self.__getitem__, texts))

    def __missing__(self, text: str) -> str | BadValueError | None:
        value: str | BadValueError | None
        try:
            value = self._read(text)
        except BadValueError as bad:
            value, self.has_errors = bad.with_traceback(None), True
        if len(text) <= self.LENGTH:
            if len(self) >= self.LIMIT:
                self.clear()
            self[text] = value
        return value
