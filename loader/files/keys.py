"""Reads an object's key: the groups of the feed's key_pattern."""

from __future__ import annotations

import importlib
import re
from contextlib import suppress
from datetime import date, datetime
from typing import Any, NamedTuple


class KeyMatch(NamedTuple):
    """What a key says; None: key_pattern has no such group, or its date is not a date."""

    date: date | None
    date_text: str | None
    client: str | None
    """The client, if the feed takes it from the key; empty if this key names none."""
    part: str | None
    delivery: str | None


def read_key(
    match: re.Match[str] | None, pattern: re.Pattern[str], client: str | None, form: str
) -> KeyMatch:
    """Reads the groups of a match; what a group did not match is empty, and so is all of a key without match.

    `client` is the name of the group that names the client, `form` the format of a date.
    """
    groups = {name: (match and match[name]) or "" for name in pattern.groupindex}
    text = groups.get("date")
    return KeyMatch(
        _key_date(text, form) if text else None,
        text,
        groups.get(client) if client else None,
        groups.get("part"),
        groups.get("delivery"),
    )


def _key_date(text: str, form: str) -> date | None:
    """Parses a date in a key, as YYYYMMDD, YYYY-MM-DD or in the feed's format; None if it is not a date."""
    digits = re.sub(r"\D", "", text)
    with suppress(ValueError):
        if len(digits) == 8:
            return date.fromisoformat(digits)
    with suppress(ValueError):
        return datetime.strptime(text, form).date()
    return None


def can_match_without(pattern: re.Pattern[str], group: str) -> bool:
    """Returns whether a key can match the pattern without this group of it taking part."""
    # The standard library's own parser: the only one that reads every pattern as `re` does.
    parsed = importlib.import_module("re._parser").parse(pattern.pattern, pattern.flags)
    return pattern.groupindex[group] not in _always_matched(parsed)


def _always_matched(parsed: Any) -> set[int]:
    """Returns the numbers of the groups that take part in every match of a parsed pattern."""
    found: set[int] = set()
    for operation, argument in parsed:
        match str(operation), argument:
            case "SUBPATTERN", (number, _, _, inner):
                found |= {number} | _always_matched(inner)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT", (least, _, inner) if least > 0:
                found |= _always_matched(inner)
            case "BRANCH", (_, alternatives):
                found |= set.intersection(*map(_always_matched, alternatives))
            case "ASSERT", (_, inner):
                found |= _always_matched(inner)
            case "ATOMIC_GROUP", inner:
                found |= _always_matched(inner)
            case "GROUPREF_EXISTS", (_, then, otherwise) if otherwise is not None:
                found |= _always_matched(then) & _always_matched(otherwise)
    return found
