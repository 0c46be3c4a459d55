"""Random content of feeds.yml: the result is feeds, or one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.errors import FeedsError, one_sentence
from loader.files.feeds import FeedFinder, read_feeds

EXAMPLE: dict[str, Any] = {
    "location": "s3://drops/a/",
    "key_pattern": r"(?P<date>\d{4}-\d{2}-\d{2})(?P<client>\w+)\.csv$",
    "redelivery": "append",
    "max_rejected": 0.25,
    "format": {
        "delimiter": ";",
        "encoding": "utf-16",
        "date": "%d.%m.%Y",
        "decimal": ",",
        "header_row": 2,
        "currency": "€",
        "fractional": "round",
    },
    "client": {"key_group": "client"},
    "columns": {"date": "Date", "impressions": {"position": 3}, "strategy_name": {"constant": "x"}},
}
WORDS = st.sampled_from(
    [*EXAMPLE, *EXAMPLE["format"], *EXAMPLE["columns"], "feeds", "header", "name", "column", "<<"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.binary(max_size=5)
    | WORDS
    | st.text(max_size=9)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | scalars, inner, max_size=4)
)
quiet = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_reads_or_fails_with_a_sentence(path: Path, content: bytes) -> None:
    """Checks that the result is usable feeds, or a sentence that names the file."""
    path.write_bytes(content)
    try:
        feeds = read_feeds(path)
        for feed in feeds:
            FeedFinder(feeds).matches(feed.bucket, f"{feed.prefix}2024-01-02x.csv")
            feed.model_dump_json()
            "".join((feed.name, feed.location)).encode()
    except FeedsError as error:
        sentence = one_sentence(error)
        assert "\n" not in sentence and sentence.startswith(f"{path}")
        sentence.encode()


@quiet
@given(st.binary(max_size=80) | st.text("feds: {}[]&*!?|>-#\n\"'<\t\0é", max_size=60).map(str.encode))
def test_any_bytes_give_feeds_or_a_sentence(tmp_path: Path, content: bytes) -> None:
    check_reads_or_fails_with_a_sentence(tmp_path / "feeds.yml", content)
    check_reads_or_fails_with_a_sentence(
        tmp_path / "feeds.yml", b"feeds:\n  a:\n    location: s3://drops/a/\n    client: " + content
    )


@quiet
@given(values | st.dictionaries(st.just("feeds"), values | st.dictionaries(scalars, values, max_size=3)))
def test_any_yaml_document_gives_feeds_or_a_sentence(tmp_path: Path, document: object) -> None:
    check_reads_or_fails_with_a_sentence(
        tmp_path / "feeds.yml", yaml.dump(document, allow_unicode=True).encode("utf-8", "surrogatepass")
    )


@quiet
@given(st.lists(st.tuples(st.integers(0, 30), values), min_size=1, max_size=2))
def test_any_change_to_a_valid_feed_gives_feeds_or_a_sentence(
    tmp_path: Path, changes: list[tuple[int, Any]]
) -> None:
    feed = yaml.safe_load(yaml.safe_dump(EXAMPLE))
    for which, value in changes:
        places: list[tuple[dict[str, Any], str]] = [
            (part, name) for part in (feed, *feed.values()) if isinstance(part, dict) for name in part
        ]
        part, name = places[which % len(places)]
        part[name] = value
    check_reads_or_fails_with_a_sentence(
        tmp_path / "feeds.yml", yaml.dump({"feeds": {"a": feed}}, allow_unicode=True).encode()
    )


def test_odd_keys_and_unstorable_characters_give_a_sentence(tmp_path: Path) -> None:
    for content in (
        "? [a, b]\n: 1\n",
        "feeds: {? {a: 1} : 2}",
        'feeds: {a: {location: "s3://bb/\\ud800"}}',
        'feeds: {"a\\0b": {}}',
        "feeds: &a {x: *a}",
        "feeds: " + "[" * 5000,
    ):
        check_reads_or_fails_with_a_sentence(tmp_path / "feeds.yml", content.encode())
