"""Reads and validates feeds.yml: each feed's location, file format and column mapping."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from loader.errors import FeedsError
from loader.files.columns import MAPPED, REQUIRED, STAGED
from loader.files.format import Format
from loader.files.keys import KeyMatch, can_match_without, read_key
from loader.names import quoted, storable

LOCATION = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]+)(?:/(?P<prefix>.*))?", re.DOTALL)


def _text(value: object) -> object:
    """Converts numbers and dates from YAML to text, leaving booleans and null to be rejected."""
    number_or_date = isinstance(value, int | float | date) and not isinstance(value, bool)
    return str(value) if number_or_date else value


Text = Annotated[str, BeforeValidator(_text)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """The source of a column's text: exactly one of a header, a 1-based position, a constant."""

    header: Text | None = None
    position: Annotated[int, Field(ge=1, strict=True)] | None = None
    constant: Text | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_header(cls, value: object) -> object:
        return value if isinstance(value, dict | Source) else {"header": value}

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Source:
        if sum(part is not None for part in (self.header, self.position, self.constant)) != 1:
            raise ValueError("give the partner's header, {position: N} or {constant: TEXT}")
        return self


class Client(_Part):
    """How the client of a row is found: exactly one of a column, a group of the key, a fixed name or id."""

    column: Source | None = None
    key_group: str | None = None
    name: Text | None = None

    @model_validator(mode="after")
    def _has_exactly_one(self) -> Client:
        if sum(part is not None for part in (self.column, self.key_group, self.name)) != 1:
            raise ValueError("give one of {column: HEADER}, {key_group: GROUP} and {name: NAME}")
        return self


class Skip(_Part):
    """Rows to leave out: those whose cell in a column matches."""

    column: Source
    matches: re.Pattern[str]

    @model_validator(mode="after")
    def _is_of_the_file(self) -> Skip:
        if self.column.constant is not None:
            raise ValueError("column: give the partner's header or {position: N}")
        return self


def _checked_columns(columns: object) -> object:
    """Removes columns that are mapped to null; checks that the rest exist and include the required ones."""
    if not isinstance(columns, dict):
        return columns
    mapped = {column: source for column, source in columns.items() if source is not None}
    if unknown := [str(column) for column in mapped if column not in MAPPED]:
        raise ValueError(f"{unknown[0]} is not a column: use {', '.join(MAPPED)}")
    if missing := [column for column in REQUIRED if column not in mapped]:
        raise ValueError(f"{missing[0]} is required")
    return mapped


Columns = Annotated[dict[str, Source], BeforeValidator(_checked_columns)]
"""The source of each mapped column of media.staging_media_raw."""


class Feed(_Part):
    """A partner's daily files; the location, a folder that ends in /, identifies the feed."""

    name: str
    location: str
    moved_from: str | None = None
    key_pattern: re.Pattern[str] = re.compile("")  # every key
    redelivery: Literal["replace", "append"] = "replace"
    covers: Literal["rows", "span"] = "rows"
    same_key: Literal["replaces", "adds"] = "replaces"
    key_date: Literal["free", "in_file"] = "free"
    max_rejected: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.10")
    skip: tuple[Skip, ...] = ()
    format: Format = Format()
    client: Client
    columns: Columns

    @model_validator(mode="before")
    @classmethod
    def _with_slash(cls, value: Any) -> Any:
        """Adds a slash to the locations, so that s3://acme/ttd does not match s3://acme/ttd2/."""
        if not isinstance(value, dict):
            return value
        locations = {name: value.get(name) for name in ("location", "moved_from")}
        return value | {
            name: location if location.endswith("/") else f"{location}/"
            for name, location in locations.items()
            if isinstance(location, str)
        }

    @model_validator(mode="after")
    def _is_consistent(self) -> Feed:
        for name, location in {"location": self.location, "moved_from": self.moved_from}.items():
            if location is not None and not LOCATION.fullmatch(location):
                raise ValueError(f"{name}: give s3://BUCKET/FOLDER/")
        if self.moved_from == self.location:
            raise ValueError("moved_from: this is the location itself: give the previous location")
        group, groups = self.client.key_group, self.key_pattern.groupindex
        if group is not None and group not in groups:
            raise ValueError(f"client.key_group: key_pattern has no group (?P<{group}>…)")
        if self.key_date == "in_file" and "date" not in groups:
            raise ValueError("key_date: in_file needs a group (?P<date>…) in key_pattern")
        for name in ("part", "delivery"):
            if name in groups and can_match_without(self.key_pattern, name):
                raise ValueError(
                    f"key_pattern: a key can match without the group {name}: write what is optional inside"
                    f" the group, (?P<{name}>(…)?) instead of (?P<{name}>…)?"
                )
        if self.covers == "span" and group is not None and can_match_without(self.key_pattern, group):
            raise ValueError(
                "covers: span needs the client of every key, but a key can match key_pattern without the"
                f" group {group}, which names the client: make the group match in every key"
            )
        return self

    @property
    def bucket(self) -> str:
        """The bucket of the location."""
        return self.location.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The prefix of the feed's keys; empty for a whole bucket."""
        return self.location.removeprefix("s3://").partition("/")[2]

    @property
    def names_in_file(self) -> list[str]:
        """The name columns that are read from the file, in the order of STAGED."""
        mapped = {column for column, source in self.columns.items() if source.constant is None}
        return [column for column, kind in STAGED.items() if kind == "name" and column in mapped]

    @property
    def key_rules(self) -> str:
        """A fingerprint of the settings that determine what read_file() and match() return."""
        rules = (self.key_pattern.pattern, self.format.date, self.client.key_group)
        return hashlib.md5(json.dumps(rules).encode(), usedforsecurity=False).hexdigest()

    def read_file(self, file: str) -> KeyMatch:
        """Returns what the key of a loaded file says, even if it does not match key_pattern any more.

        `file` is the key below the location, or a URI outside it. A file that was loaded from a previous
        location is read as if it were below the current one: its part is then that of a copy there.
        """
        key = file.removeprefix("s3://").partition("/")[2] if file.startswith("s3://") else self.prefix + file
        return self._read(self.key_pattern.search(key))

    def _read(self, match: re.Match[str] | None) -> KeyMatch:
        return read_key(match, self.key_pattern, self.client.key_group, self.format.date)

    def places(self, key: str, locations: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Returns the bucket and key of an object of this feed, here and in the other locations of the feed.

        The same file in another location is the same file, if neither location contains the other.
        """
        file = key.removeprefix(self.prefix)
        others = (
            location + file
            for location in locations
            if not location.startswith(self.location) and not self.location.startswith(location)
        )
        split = (uri.removeprefix("s3://").partition("/") for uri in others)
        return ((self.bucket, key), *((bucket, key) for bucket, _, key in split))

    def match(self, key: str) -> KeyMatch | None:
        """Returns what a key of the feed's bucket says; None if the feed does not match it."""
        if not key.startswith(self.prefix) or key.endswith("/"):  # a key that ends in / is a folder
            return None
        found = self.key_pattern.search(key)
        return self._read(found) if found else None

    def tolerates(self, bad: int, of: int) -> bool:
        """Returns whether `bad` of `of` rows (both without unknown clients) are within max_rejected."""
        return bad <= of * self.max_rejected


class FeedFinder:
    """Finds the feeds of a key by the folders above it, in a time that does not grow with the feeds."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._by_location = {feed.location: feed for feed in feeds}

    def matches(self, bucket: str, key: str) -> dict[str, KeyMatch]:
        """Returns the match of each feed that an object matches, by the feed's name; two are an error."""
        above, bucket_root = key.split("/")[:-1], f"s3://{bucket}/"
        folders = accumulate(above, lambda folder, name: f"{folder}{name}/", initial=bucket_root)
        feeds = filter(None, map(self._by_location.get, folders))
        return {feed.name: match for feed in feeds if (match := feed.match(key))}


def read_feeds(path: Path) -> tuple[Feed, ...]:
    """Reads the feeds in feeds.yml. Raises FeedsError, which names the file, feed and field."""
    declared = _parsed_yaml(path)
    if bad := next((text for text in _strings(declared) if storable(text) != text), None):
        raise FeedsError(f"{path}: {quoted(bad)} contains NUL or an unpaired surrogate: remove it")
    if not isinstance(declared, dict) or set(declared) != {"feeds"}:
        raise FeedsError(f"{path}: the file must consist of one top-level key, `feeds:`")
    by_name = {} if declared["feeds"] is None else declared["feeds"]
    if not isinstance(by_name, dict):
        raise FeedsError(f"{path}: feeds: write each feed below its name")
    feeds = tuple(_feed(path, name, fields) for name, fields in by_name.items())
    _check_locations(path, feeds)
    return feeds


def _check_locations(path: Path, feeds: Sequence[Feed]) -> None:
    """Raises FeedsError if two feeds have, or had, the same location."""
    owners: dict[str, str] = {}
    for feed in feeds:
        if (owner := owners.setdefault(feed.location, feed.name)) != feed.name:
            raise FeedsError(
                f"{path}: feed {feed.name}: location: {feed.location} is already the location of"
                f" feed {owner}: give each feed its own location"
            )
    former: dict[str, str] = {}
    for feed in feeds:
        if feed.moved_from is None:
            continue
        if owner := owners.get(feed.moved_from, ""):
            raise FeedsError(
                f"{path}: feed {feed.name}: moved_from: {feed.moved_from} is the location of feed {owner}:"
                f" remove moved_from, or feed {owner} if its files belong to this feed now"
            )
        if (owner := former.setdefault(feed.moved_from, feed.name)) != feed.name:
            raise FeedsError(
                f"{path}: feed {feed.name}: moved_from: {feed.moved_from} is already the moved_from of"
                f" feed {owner}: only one feed can have its runs"
            )


def _strings(document: object) -> Iterator[str]:
    """Yields every string of a document, which may contain itself through YAML anchors."""
    pending, seen = [document], set()
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict | list | tuple | set) and id(part) not in seen:
            seen.add(id(part))
            pending.extend(part)
            pending.extend(part.values() if isinstance(part, dict) else ())


def _feed(path: Path, name: object, fields: object) -> Feed:
    if not isinstance(name, str) or not name.strip():
        raise FeedsError(f"{path}: feed {name}: the name must be text: write it in quotes")
    if not isinstance(fields, dict) or "name" in fields:
        raise FeedsError(f"{path}: feed {name}: give location, client and columns; `name` is not a field")
    try:
        return Feed.model_validate({**fields, "name": name})
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(part for part in (".".join(map(str, found["loc"])), _plain(found["msg"])) if part)
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise FeedsError(f"{path}: feed {name}: {problems}") from error
    except RecursionError as error:
        raise FeedsError(f"{path}: feed {name}: key_pattern: too many groups inside each other") from error


def _plain(message: str) -> str:
    """Returns pydantic's message in our words."""
    return message.removeprefix("Value error, ").replace("Extra inputs are not permitted", "unknown field")


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys; SafeLoader silently uses the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    problem="a key must be plain text", problem_mark=key.start_mark
                )
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"duplicate key {key.value}", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parsed_yaml(path: Path) -> object:
    try:
        return yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)  # a SafeLoader
    except FileNotFoundError as error:
        raise FeedsError(f"{path} does not exist: declare the feeds there, or set MEDIA_FEEDS") from error
    except OSError as error:
        raise FeedsError(f"{path} cannot be read ({error.strerror}): check MEDIA_FEEDS") from error
    except UnicodeDecodeError as error:
        raise FeedsError(f"{path} is not UTF-8: save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}:" if error.problem_mark else ""
        raise FeedsError(f"{path}:{line} invalid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: an impossible date
        raise FeedsError(f"{path}: invalid YAML: {' '.join(str(error).split())}") from error
