"""How names and other text from partners' files are compared, stored and quoted in messages."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import date, timedelta

QUOTED_CHARACTERS = 80
NAME_LENGTH = 255
RANGES_SHOWN = 5
NORMALISED_LENGTH = 4 * NAME_LENGTH
"""NFC makes a text at most four times shorter, so a longer text cannot become a name."""


def normalised(text: str) -> str:
    """Returns the text in Unicode NFC, without surrounding white space.

    Leaves a text of more than NORMALISED_LENGTH characters as it is: the time that normalising takes grows
    with the square of the combining marks, and 64,000 of them take 11 s.
    """
    text = text.strip()
    if text.isascii() or len(text) > NORMALISED_LENGTH:
        return text
    return unicodedata.normalize("NFC", text).strip()


def client_key(text: str) -> str:
    """Returns the form of a client's name or id that is used to compare clients, ignoring case."""
    return normalised(text).casefold()


def storable(text: str) -> str:
    r"""Escapes NUL and unpaired surrogates, which PostgreSQL cannot store, as \x00 and \ud800."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: str) -> str:
    """Returns the text in quotes for a message, cut to QUOTED_CHARACTERS."""
    shown = storable(text.strip()[: QUOTED_CHARACTERS + 1])
    return f'"{shown[:QUOTED_CHARACTERS]}…"' if len(shown) > QUOTED_CHARACTERS else f'"{shown}"'


def counted(number: int, noun: str) -> str:
    """Returns "1 row", "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def day_ranges(days: Iterable[date]) -> str:
    """Returns the days as "2026-08-01 to 2026-08-03, 2026-08-09"; of many ranges, the first RANGES_SHOWN."""
    ranges: list[list[date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][-1] == timedelta(1):
            ranges[-1][1:] = [day]
        else:
            ranges.append([day])
    shown = [" to ".join(map(str, one)) for one in ranges[:RANGES_SHOWN]]
    left = len(ranges) - RANGES_SHOWN
    return ", ".join(shown) + (f" and {left:,} more" if left > 0 else "")
