"""How names and other text from partners' files are compared, stored and quoted in messages."""

from __future__ import annotations

import unicodedata

QUOTED_CHARACTERS = 80


def normalised(text: str) -> str:
    """Returns the text in Unicode NFC, without surrounding white space."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def client_key(text: str) -> str:
    """Returns the form of a client's name or id that is used to compare clients, ignoring case."""
    return normalised(text).casefold()


def storable(text: str) -> str:
    r"""Escapes NUL and unpaired surrogates, which PostgreSQL cannot store, as \x00 and \ud800."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: str) -> str:
    """Returns the text in quotes for a message, cut to QUOTED_CHARACTERS."""
    shown = storable(text.strip())
    return f'"{shown[:QUOTED_CHARACTERS]}…"' if len(shown) > QUOTED_CHARACTERS else f'"{shown}"'


def counted(number: int, noun: str) -> str:
    """Returns "1 row", "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
