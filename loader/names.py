"""Names and other text as partners write it: how it is compared, stored and quoted."""

from __future__ import annotations

import unicodedata

QUOTED_CHARACTERS = 80


def normalised(text: str) -> str:
    """Returns a text in NFC, without white space around it."""
    return text.strip() if text.isascii() else unicodedata.normalize("NFC", text).strip()


def client_key(text: str) -> str:
    """Returns a client's name or id in the form in which two of them are compared."""
    return normalised(text).casefold()


def storable(text: str) -> str:
    r"""Writes what PostgreSQL's text cannot hold, NUL and unpaired surrogates, as \x00 and \ud800."""
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")


def quoted(text: str) -> str:
    """Returns a text in quotes, cut to QUOTED_CHARACTERS, for a sentence."""
    shown = storable(text.strip())
    return f'"{shown[:QUOTED_CHARACTERS]}…"' if len(shown) > QUOTED_CHARACTERS else f'"{shown}"'
