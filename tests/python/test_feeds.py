"""feeds.yml: defaults, error messages, and which feed an object belongs to."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from loader.errors import FeedsError
from loader.files.feeds import Feed, FeedFinder, read_feeds
from loader.files.keys import KeyMatch

EXAMPLE = r"""
feeds:
  ttd:
    location: s3://acme-drops/ttd/
    key_pattern: '(?P<date>\d{4}-\d{2}-\d{2})\.csv(\.gz)?$'
    client: {column: Advertiser}
    columns: {date: Date, impressions: Imps, strategy_name: {constant: 7}, clicks: {position: 17}}
"""


def read(tmp_path: Path, text: str) -> tuple[Feed, ...]:
    path = tmp_path / "feeds.yml"
    path.write_text(text, encoding="utf-8")
    return read_feeds(path)


def test_a_feed_has_the_specified_defaults(tmp_path: Path) -> None:
    (feed,) = read(tmp_path, EXAMPLE)
    assert (feed.name, feed.location, feed.bucket, feed.prefix) == (
        "ttd",
        "s3://acme-drops/ttd/",
        "acme-drops",
        "ttd/",
    )
    assert (feed.redelivery, str(feed.max_rejected)) == ("replace", "0.10")
    assert feed.format.model_dump() == {
        "type": "csv",
        "delimiter": ",",
        "encoding": "utf-8",
        "date": "%Y-%m-%d",
        "decimal": ".",
        "header_row": 1,
        "currency": "",
        "fractional": "reject",
    }
    assert feed.columns["strategy_name"].constant == "7"
    assert feed.tolerates(1, 10) and not feed.tolerates(2, 19)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("date: Date, ", "", "feed ttd: columns: date is required"),
        ("columns:", "colums:", "colums: unknown field"),
        ("{constant: 7}", "{constant: 7, position: 2}", "columns.strategy_name"),
        ("{position: 17}", "{position: 0}", "columns.clicks.position"),
        ("{position: 17}", "yes", "columns.clicks.header"),
        ("{column: Advertiser}", "{key_group: client}", "client.key_group"),
        ("{column: Advertiser}", "{column: A, name: B}", "feed ttd: client: give one of"),
        ("s3://acme-drops/ttd/", "acme/ttd", "feed ttd: location"),
        (r"'(?P<date>", r"'(?P<date", "feed ttd: key_pattern"),
        ("client:", "max_rejected: 2\n    client:", "max_rejected"),
        ("client:", "redelivery: sum\n    client:", "redelivery"),
        ("client:", "format: {decimal: x}\n    client:", "format.decimal"),
        ("client:", "format: {date: '%d/%m'}\n    client:", "format: date"),
        ("client:", "format: {delimiter: '||'}\n    client:", "format: delimiter"),
        ("client:", "client: {name: A}\n    client:", "line 7: invalid YAML: duplicate key client"),
        ("client:", "covers: all\n    client:", "feed ttd: covers: Input should be 'rows' or 'span'"),
        ("client:", "same_key: add\n    client:", "feed ttd: same_key: Input should be 'replaces' or 'adds'"),
        ("client:", "key_date: yes\n    client:", "feed ttd: key_date: Input should be 'free' or 'in_file'"),
        ("client:", "moved_from: old\n    client:", "feed ttd: moved_from: give s3://BUCKET/FOLDER/"),
        (
            "client:",
            "moved_from: s3://acme-drops/ttd\n    client:",
            "moved_from: this is the location itself: give the previous location",
        ),
        (
            r"(?P<date>\d{4}-\d{2}-\d{2})",
            r"(_(?P<part>[A-Z]+))?",
            "key_pattern: a key can match without the group part: write what is optional inside the group,"
            " (?P<part>(…)?) instead of (?P<part>…)?",
        ),
        (r"(?P<date>", r"(?P<delivery>\d)?(?P<date>", "a key can match without the group delivery"),
        (r"'(?P<date>", r"'x|(?P<part>\d)(?P<date>", "a key can match without the group part"),
        (
            "key_pattern: '(?P<date>",
            "key_date: in_file\n    key_pattern: '(?P<day>",
            "key_date: in_file needs a group (?P<date>…) in key_pattern",
        ),
        (
            "client:",
            "skip: [{column: {constant: x}, matches: y}]\n    client:",
            "skip.0: column: give the partner's header or {position: N}",
        ),
        ("client:", "skip: [{column: A, matches: '('}]\n    client:", "feed ttd: skip.0.matches:"),
        ("location:", "\tlocation:", "line 4: invalid YAML"),
        ("feeds:", "feed:", "one top-level key, `feeds:`"),
    ],
)
def test_an_error_names_the_file_the_feed_and_the_field(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(FeedsError) as error:
        read(tmp_path, EXAMPLE.replace(old, new, 1))
    assert message in str(error.value) and "feeds.yml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_span_needs_the_client_of_every_key(tmp_path: Path) -> None:
    text = EXAMPLE.replace("{column: Advertiser}", "{key_group: who}\n    covers: span")
    read(tmp_path, text.replace("'(?P<date>", "'(?P<who>x)(?P<date>"))
    with pytest.raises(FeedsError, match=r"covers: span needs the client of every key, but .* group who,"):
        read(tmp_path, text.replace("'(?P<date>", "'(?P<who>x)?(?P<date>"))


def test_a_missing_unreadable_or_misencoded_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"feeds: \xe9")
    for path, message in (("none.yml", "does not exist"), (".", "cannot be read"), ("latin.yml", "UTF-8")):
        with pytest.raises(FeedsError, match=message):
            read_feeds(tmp_path / path)


def test_two_feeds_cannot_share_a_location_or_an_object(tmp_path: Path) -> None:
    other = EXAMPLE.replace("feeds:\n", "").replace("  ttd:", "  other:")
    with pytest.raises(FeedsError, match=r"feed other: location: .* is already the location of feed ttd"):
        read(tmp_path, EXAMPLE + other.replace("ttd/", "ttd"))
    moved = other.replace("ttd/", "new/\n    moved_from: s3://acme-drops/ttd/")
    with pytest.raises(FeedsError, match=r"feed other: moved_from: .* is the location of feed ttd: remove"):
        read(tmp_path, EXAMPLE + moved)
    third = moved.replace("other", "third").replace("new/", "newer/")
    with pytest.raises(FeedsError, match=r"feed third: moved_from: .* is already the moved_from of feed ot"):
        read(tmp_path, "feeds:\n" + moved + third)
    feeds = read(tmp_path, EXAMPLE + other.replace("ttd/", ""))
    assert [feed.bucket for feed in feeds] == ["acme-drops"] * 2 and feeds[1].prefix == ""
    finder = FeedFinder(feeds)
    assert finder.matches("acme-drops", "ttd/2024-01-05.csv").keys() == {"ttd", "other"}
    assert finder.matches("acme-drops", "x/2024-01-05.csv").keys() == {"other"}
    assert finder.matches("elsewhere", "x/2024-01-05.csv") == {}


def test_the_date_and_client_are_read_from_a_key(tmp_path: Path) -> None:
    pattern = r"'(?P<client>\w+)/(?P<date>\d[\d_-]+)\.csv'"
    text = EXAMPLE.replace("{column: Advertiser}", "{key_group: client}")
    (feed,) = read(tmp_path, text.replace(r"'(?P<date>\d{4}-\d{2}-\d{2})\.csv(\.gz)?$'", pattern))
    for written in ("2024-01-05", "20240105", "2024_01_05"):
        assert feed.match(f"ttd/Acme/{written}.csv") == KeyMatch(
            date(2024, 1, 5), written, "Acme", part=None, delivery=None
        )
    assert feed.match("ttd/Acme/2024-13-05.csv") == KeyMatch(None, "2024-13-05", "Acme", None, None)
    assert feed.match("other/Acme/2024-01-05.csv") is None
    assert feed.match("ttd/Acme/2024-01-05.csv/") is None
