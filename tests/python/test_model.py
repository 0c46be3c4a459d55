"""Tests the model; every expected figure was worked out by hand from docs/semantics.md."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import zstandard
from model import Attempt, Figures, Model, Path, ratio, total
from model_files import BadRowError, UnloadableError, count, decompressed, number, read, rounded

ACME, BETA = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
TUESDAY = date(2024, 1, 2)
FEED: dict[str, Any] = {
    "location": "s3://drops/a/",
    "client": {"column": "Client"},
    "columns": {
        "date": "Date",
        "campaign_name": "Campaign",
        "creative_name": "Ad",
        "impressions": "Imps",
        "clicks": "Clicks",
        "conversions": "Conv",
        "conversion_revenue": "Revenue",
    },
}
HEADER = "Client,Date,Campaign,Ad,Imps,Clicks,Conv,Revenue"
FORM = {"decimal": ".", "currency": "$", "fractional": "reject"}


def csv(*rows: str) -> bytes:
    return "\n".join((HEADER, *rows, "")).encode()


def at(hour: int) -> datetime:
    return datetime(2024, 2, 1, tzinfo=UTC) + timedelta(hours=hour)


def new_model(**feed: Any) -> Model:
    created = Model({"a": {**FEED, **feed}})
    created.clients = {ACME: "Acme", BETA: "Beta"}
    return created


def deliver(model: Model, key: str, hour: int, *rows: str, **load: Any) -> Attempt:
    model.put("drops", f"a/{key}", csv(*rows), at(hour), f"{hash(rows)}")
    (attempt,) = model.load(**load)
    return attempt


def impressions(model: Model) -> dict[tuple[str, str], int | None]:
    """Returns impressions by day and campaign."""
    return {(f"{on:%m-%d}", path[1]): row.impressions for (on, path), row in model.daily().items()}


def by_name(path: Path) -> str:
    return "/".join(path)


# Numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("-", None),
        (" -- ", None),
        ("12.0", 12),
        ("1,234,567.5", Fraction(2469135, 2)),
        ("$1.50", Fraction(3, 2)),
        ("-$1.50", Fraction(-3, 2)),
        ("$-1.50", Fraction(-3, 2)),
        ("2.5%", Fraction(1, 40)),
    ],
)
def test_numbers_are_read(text: str, expected: Any) -> None:
    assert number(text, FORM, percent=True) == expected


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "1,23", "12,34,567", "1234,567", "€5", "1.2.3", "$", "x", "0x1f"]
)
def test_a_bad_number_is_rejected(text: str) -> None:
    with pytest.raises(BadRowError, match=r"^number$"):
        number(text, FORM)


def test_a_decimal_comma_is_read() -> None:
    assert number("1.234,5", {**FORM, "decimal": ","}) == Fraction(2469, 2)
    with pytest.raises(BadRowError):
        number("1,234.5", {**FORM, "decimal": ","})


@pytest.mark.parametrize("text", ["-1", "1.5", "9223372036854775808", "50%"])
def test_a_bad_count_is_rejected(text: str) -> None:
    with pytest.raises(BadRowError, match=r"^number$"):
        count(text, FORM)


def test_a_fractional_count_is_rounded_if_the_feed_says_so() -> None:
    assert count("2.5", {**FORM, "fractional": "round"}) == 3
    assert count("9223372036854775807", FORM) == 9223372036854775807


@pytest.mark.parametrize(
    ("value", "expected"), [("0.005", "0.01"), ("-0.005", "-0.01"), ("2.675", "2.68"), ("-0.004", "0")]
)
def test_rounding_is_half_away_from_zero(value: str, expected: str) -> None:
    assert rounded(Fraction(value), 2) == Decimal(expected)


def test_a_ratio_is_rounded_and_null_if_undefined_or_too_big() -> None:
    assert ratio(1, 3, 6) == Decimal("0.333333")
    assert ratio(2, 3, 4) == Decimal("0.6667")
    assert ratio(1, 0, 4) is None
    assert ratio(None, 1, 4) is None
    assert ratio(10**8, 1, 4) is None  # the maximum of numeric(12, 4) is 99,999,999.9999
    assert ratio(10**6, 1, 6) is None


def test_a_sum_with_a_null_is_null() -> None:
    assert total([1, None, 2]) is None
    assert total([1, 2]) == 3
    assert total([]) == 0


# Files


def test_compression_is_detected_from_the_content() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("x.csv", b"a,b")
    packed = [
        gzip.compress(b"a,") + gzip.compress(b"b"),
        bz2.compress(b"a,b"),
        lzma.compress(b"a,b"),
        zstandard.compress(b"a,b"),
        archive.getvalue(),
        b"a,b",
    ]
    assert [decompressed(content) for content in packed] == [b"a,b"] * 6


def test_a_bad_archive_cannot_be_loaded() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("x.csv", b"a")
        members.writestr("y.csv", b"a")
    for content in (b"", gzip.compress(b"a,b")[:-3], archive.getvalue()):
        with pytest.raises(UnloadableError):
            decompressed(content)


def test_every_zstd_frame_must_be_complete() -> None:
    frame = zstandard.compress(b"a,b")
    assert decompressed(frame + frame) == b"a,ba,b"
    with pytest.raises(UnloadableError):
        decompressed(frame + frame[:-2])


def test_a_folder_in_a_zip_is_not_a_member() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.mkdir("folder")
        members.writestr("folder/x.csv", b"a,b")
    assert decompressed(archive.getvalue()) == b"a,b"


def rejects(*rows: str, **feed: Any) -> list[tuple[int, str]]:
    _, found = read(csv(*rows), {**FEED, **feed}, {"acme": ACME}, None, date(2024, 2, 1))
    return [(reject.line, reject.reason) for reject in found]


def test_a_row_is_rejected_with_the_first_reason_that_applies() -> None:
    long = "x" * 256
    assert rejects(
        "Acme,2024-01-02,C,A,1,0,0",  # line 2: a field is missing, so nothing else is checked
        "Nobody,1999-12-31,C,A,x,0,0,0",
        "Acme,2024-02-03,C,A,1,0,0,0",  # two days after the last-modified day
        "Acme,2024-02-02,C,A,1,0,0,0",  # the day after it is still accepted
        f"Nobody,2024-01-02,{long},A,x,0,0,0",
        f"Nobody,2024-01-02,{long},A,1,0,0,0",
        "Acme,2024-01-02,C\0,A,1,0,0,0",
        "Nobody,2024-01-02,C,A,1,0,0,0",
        "ACME ,2024-01-02,C,A,1,0,0,0",
        "Acme,2024-01-02,C,A,1,0,0,9999999999.995",  # rounds to 10,000,000,000.00
    ) == [
        (2, "fields"),
        (3, "date"),
        (4, "date"),
        (6, "number"),
        (7, "name"),
        (8, "name"),
        (9, "client"),
        (11, "number"),
    ]


def test_a_rejects_line_is_where_its_record_starts() -> None:
    assert rejects("", 'Acme,2024-01-02,"two', 'lines",A,1,0,0,0', "Acme,,C,A,1,0,0,0", "Acme") == [
        (5, "date"),
        (6, "fields"),
    ]


def test_staged_values_are_normalized() -> None:
    feed = {
        **FEED,
        "columns": {**FEED["columns"], "strategy_name": {"constant": "S"}, "ctr": {"position": 6}},
    }
    (row,), _ = read(
        csv("acme,2024-01-02, Cafe\u0301 ,,7,2,-,-1.005"), feed, {"acme": ACME}, None, date(2024, 2, 1)
    )
    assert row[2:] == ("Café", "S", "(not set)", "(not set)", 7, 2, Decimal(2), 0, Decimal("-1.01"))


def test_a_preamble_a_bom_and_another_encoding_are_read() -> None:
    feed = {**FEED, "format": {"header_row": 3, "encoding": "utf-16"}}
    content = "Report\n\n" + csv("Acme,2024-01-02,C,A,1,0,0,0", "Acme").decode()
    rows, found = read(content.encode("utf-16"), feed, {"acme": ACME}, None, date(2024, 2, 1))
    assert (len(rows), [(reject.line, reject.reason) for reject in found]) == (1, [(5, "fields")])
    rows, _ = read(
        b"\xef\xbb\xbf" + csv("Acme,2024-01-02,C,A,1,0,0,0"), FEED, {"acme": ACME}, None, date(2024, 2, 1)
    )
    assert len(rows) == 1


def test_an_unpaired_surrogate_is_a_bad_name_and_a_bom_is_ignored_in_every_encoding() -> None:
    rows, found = read(
        "\ufeff".encode("utf-16-le") + csv("Acme,2024-01-02,C,A,1,0,0,0").decode().encode("utf-16-le"),
        {**FEED, "format": {"encoding": "utf-16-le"}},
        {"acme": ACME},
        None,
        date(2024, 2, 1),
    )
    assert (len(rows), found) == (1, [])
    content = csv("Acme,2024-01-02,+2AA-,A,1,0,0,0")
    _, found = read(
        content, {**FEED, "format": {"encoding": "utf-7"}}, {"acme": ACME}, None, date(2024, 2, 1)
    )
    assert [reject.reason for reject in found] == ["name"]


@pytest.mark.parametrize(
    "content", [b"Client,Date\n", b" , \n", HEADER.replace("Clicks", "Imps").encode(), b"\xff\xfe\n", b"\n"]
)
def test_a_bad_file_cannot_be_loaded(content: bytes) -> None:
    with pytest.raises(UnloadableError):
        read(content, FEED, {}, None, date(2024, 2, 1))


# Runs


def test_max_rejected_limits_the_share_of_bad_rows() -> None:
    good, bad, unknown = "Acme,2024-01-02,C,A,1,0,0,0", "Acme,x,C,A,1,0,0,0", "Nobody,2024-01-02,C,A,1,0,0,0"
    model = new_model(max_rejected=0.25)
    # bad rows are 1 of 4, then 1 of 3: rows of unknown clients are left out
    at_the_limit = deliver(model, "1", 1, good, good, good, bad, unknown)
    assert (at_the_limit.status, len(at_the_limit.rows), len(at_the_limit.rejects)) == ("success", 3, 2)
    over = deliver(model, "2", 2, good, good, bad, unknown)
    assert (over.status, len(over.rows), len(over.rejects)) == ("failed", 0, 2)
    assert deliver(model, "3", 3, unknown).status == "failed"  # no row can be staged
    assert deliver(model, "4", 4).status == "success"  # only a header


def test_a_changed_object_is_read_again() -> None:
    model = new_model()
    one, two = "Acme,2024-01-02,C,A,1,0,0,0", "Acme,2024-01-02,C,A,2,0,0,0"
    first = deliver(model, "k", 1, one)
    assert model.load() == []
    same = deliver(model, "k", 2, one)
    assert (same.status, same.rows, same.same_as) == ("success", [], first)
    assert model.load() == []
    assert deliver(model, "k", 3, two).same_as is None
    assert deliver(model, "k", 4, one).same_as is None  # earlier content again, but it is not in force
    assert model.load(key="a/k")[0].rows
    assert model.load(feed="b", key="a/k") == []


def test_a_failure_outside_the_file_is_retried_by_the_next_load() -> None:
    model = new_model()
    model.put("drops", "a/k", csv("Acme,2024-01-02,C,A,1,0,0,0"), at(1), "e")
    (interrupted,) = model.load(outage={"a/k"})
    assert (interrupted.status, interrupted.failure) == ("failed", "outside")
    assert model.load()[0].status == "success"
    assert model.load() == []


def test_rejected_rows_wait_for_a_retry() -> None:
    model = new_model()
    row, unknown = "Acme,2024-01-02,C,A,1,0,0,0", "Gamma,2024-01-02,C,A,1,0,0,0"
    deliver(model, "k", 1, row, unknown)
    model.load(key="a/k")
    assert model.load() == [] == model.load(retry="clients")
    model.clients["00000000-0000-0000-0000-00000000000c"] = "gamma"
    assert model.load() == []
    (again,) = model.load(retry="clients")
    assert (len(again.rows), again.rejects) == (2, [])
    assert model.load(retry=True) == []


def test_a_failed_file_waits_for_a_retry_and_a_retracted_run_does_not() -> None:
    model = new_model()
    assert deliver(model, "k", 1, "Acme,x,C,A,1,0,0,0").failure == "content"
    assert model.load() == []
    assert len(model.load(retry=True)) == 1
    retracted = deliver(model, "j", 2, *["Acme,2024-01-02,C,A,1,0,0,0"] * 9, "Acme,x,C,A,1,0,0,0")
    retracted.retracted = True
    assert [attempt.object.key for attempt in model.load(retry=True)] == ["a/k"]
    assert len(model.load(key="a/j")) == 1


def test_objects_load_in_order_of_last_modified_then_key() -> None:
    model = new_model()
    for key, hour in (("b", 2), ("c", 1), ("a", 2)):
        model.put("drops", f"a/{key}", csv(), at(hour), key)
    assert [attempt.object.key for attempt in model.load()] == ["a/c", "a/a", "a/b"]


def test_run_date_comes_from_the_key_the_rows_or_last_modified() -> None:
    model = new_model(key_pattern=r"(?P<date>\d{4}-\d\d-\d\d)?\.csv$")
    rows = "Acme,2024-01-02,C,A,1,0,0,0", "Acme,2024-01-05,C,A,1,0,0,0"
    assert deliver(model, "2024-01-09.csv", 1, *rows).run_date == date(2024, 1, 9)
    assert deliver(model, "x.csv", 2, *rows).run_date == date(2024, 1, 5)
    assert deliver(model, "y.csv", 3).run_date == date(2024, 2, 1)


def test_an_attempt_with_the_same_content_has_the_run_date_of_the_run_in_force() -> None:
    model = new_model(key_pattern="x")
    row = "Acme,2024-01-05,C,A,1,0,0,0"
    assert [deliver(model, "x", hour, row).run_date for hour in (1, 2)] == [date(2024, 1, 5)] * 2


def test_a_key_that_ends_in_a_slash_is_ignored_and_a_clients_id_takes_precedence_over_a_name() -> None:
    model = new_model()
    model.put("drops", "a/folder/", b"", at(1), "e")
    assert model.load() == []
    model.clients[BETA] = ACME.upper()
    assert model.known_clients()[ACME] == ACME


def test_objects_that_a_killed_loader_did_not_finish_are_loaded_later() -> None:
    model = new_model()
    for key in ("a/1", "a/2", "a/3"):
        model.put("drops", key, csv("Acme,2024-01-02,C,A,1,0,0,0"), at(1), key)
    done, interrupted = model.load(reached=["a/1", "a/2"], outage=["a/2"])
    assert (done.status, interrupted.status, interrupted.failure) == ("success", "failed", "outside")
    assert [again.object.key for again in model.load()] == ["a/2", "a/3"]


def test_the_client_can_come_from_the_key_or_the_feed() -> None:
    model = Model(
        {
            "key": {
                **FEED,
                "location": "s3://drops/k/",
                "key_pattern": "/(?P<client>[^/]+)/",
                "client": {"key_group": "client"},
            },
            "name": {**FEED, "location": "s3://drops/n/", "client": {"name": "BETA"}},
        }
    )
    model.clients = {ACME: "Acme", BETA: "Beta"}
    line = "ignored,2024-01-02,C,A,1,0,0,0"
    for key in ("k/acme/1", f"k/{BETA.upper()}/1", "k/nobody/1", "n/1"):
        model.put("drops", key, csv(line), at(1), key)
    found = {attempt.object.key: [row.client for row in attempt.rows] for attempt in model.load()}
    assert found == {"k/acme/1": [ACME], f"k/{BETA.upper()}/1": [BETA], "k/nobody/1": [], "n/1": [BETA]}


# Live rows


def test_a_correction_replaces_the_clients_whole_day() -> None:
    model = new_model()
    deliver(
        model,
        "1",
        1,
        "Acme,2024-01-02,C,A,1,0,0,0",
        "Acme,2024-01-02,D,A,2,0,0,0",
        "Beta,2024-01-02,E,A,4,0,0,0",
    )
    deliver(model, "2", 2, "Acme,2024-01-02,C,A,8,0,0,0", "Acme,2024-01-03,C,A,16,0,0,0")
    assert impressions(model) == {("01-02", "C"): 8, ("01-02", "E"): 4, ("01-03", "C"): 16}


def test_last_modified_decides_which_run_is_the_latest_not_the_order_of_loading() -> None:
    model = new_model()
    deliver(model, "2", 5, "Acme,2024-01-02,C,A,8,0,0,0")
    deliver(model, "1", 1, "Acme,2024-01-02,C,A,1,0,0,0")  # a late file with an old last-modified
    assert impressions(model) == {("01-02", "C"): 8}
    deliver(model, "0", 5, "Acme,2024-01-02,C,A,2,0,0,0")  # the same moment: the greater key counts as later
    assert impressions(model) == {("01-02", "C"): 8}
    # the same content again: the run keeps its last-modified
    deliver(model, "1", 6, "Acme,2024-01-02,C,A,1,0,0,0")
    assert impressions(model) == {("01-02", "C"): 8}
    # once the key has had other content, the first is a new delivery
    deliver(model, "1", 7, "Acme,2024-01-02,C,A,4,0,0,0")
    deliver(model, "1", 8, "Acme,2024-01-02,C,A,1,0,0,0")
    assert impressions(model) == {("01-02", "C"): 1}


def test_only_the_latest_run_of_a_key_is_in_force() -> None:
    model = new_model()
    deliver(model, "1", 1, "Acme,2024-01-02,C,A,1,0,0,0", "Acme,2024-01-03,C,A,2,0,0,0")
    second = deliver(model, "1", 2, "Acme,2024-01-03,C,A,4,0,0,0")
    assert impressions(model) == {("01-03", "C"): 4}  # the new version has no rows for the second of January
    empty = deliver(model, "1", 3)
    assert impressions(model) == {}
    empty.retracted = True
    assert impressions(model) == {("01-03", "C"): 4}
    second.retracted = True
    assert impressions(model) == {("01-02", "C"): 1, ("01-03", "C"): 2}
    assert model.load() == []


def test_a_failed_correction_changes_nothing() -> None:
    model = new_model()
    deliver(model, "1", 1, "Acme,2024-01-02,C,A,1,0,0,0")
    deliver(model, "1", 2, "Acme,x,C,A,2,0,0,0")
    assert impressions(model) == {("01-02", "C"): 1}


def test_the_parts_of_an_append_feed_add_up() -> None:
    model = new_model(redelivery="append")
    row = "Acme,2024-01-02,C,A,1,0,0,0"
    deliver(model, "1", 1, row)
    deliver(model, "2", 2, "Acme,2024-01-02,C,A,2,0,0,0")
    deliver(model, "3", 3, row)  # the same content as 1: only the first is in force
    assert impressions(model) == {("01-02", "C"): 3}
    model.feeds["a"]["redelivery"] = "replace"  # the current value applies to all runs
    assert impressions(model) == {("01-02", "C"): 1}


def test_parts_with_equal_content_are_kept_per_client_only_if_the_key_names_the_client() -> None:
    model = new_model(redelivery="append", key_pattern="/(?P<client>[^/]+)/", client={"key_group": "client"})
    for key in ("acme/1", "beta/1"):
        deliver(model, key, 1, "Acme,2024-01-02,C,A,1,0,0,0")
    model.feeds["a"]["client"] = {"column": "Client"}
    assert sum(row.impressions or 0 for row in model.daily().values()) == 1


def test_equal_parts_of_two_clients_are_both_in_force() -> None:
    model = new_model(redelivery="append", key_pattern="/(?P<client>[^/]+)/", client={"key_group": "client"})
    for key in ("acme/1", "acme/2", "beta/1"):
        deliver(model, key, 1, "-,2024-01-02,C,A,1,0,0,0")
    assert sum(row.impressions or 0 for row in model.daily().values()) == 2


def test_feeds_add_up_and_equal_row_keys_are_summed() -> None:
    model = Model({"a": FEED, "b": {**FEED, "location": "s3://drops/b/"}})
    model.clients = {ACME: "Acme"}
    row = "Acme,2024-01-02,C,A,1,2,3,0.10"
    model.put("drops", "a/1", csv(row, row), at(1), "1")
    model.put("drops", "b/1", csv(row), at(2), "1")
    model.load()
    (figures,) = model.daily().values()
    assert (figures.impressions, figures.clicks, figures.conversions, figures.revenue) == (
        3,
        6,
        9,
        Decimal("0.30"),
    )


# What a delivery is


def line(day: int, imps: int, client: str = "Acme") -> str:
    return f"{client},2024-01-{day:02},C,A,{imps},0,0,0"


def counted(model: Model) -> dict[tuple[str, int], int | None]:
    """Returns impressions by client and day of January."""
    return {(model.clients[path[0]], on.day): row.impressions for (on, path), row in model.daily().items()}


def test_a_key_that_adds_keeps_the_days_of_its_earlier_versions() -> None:
    model = new_model(same_key="adds")
    first = deliver(model, "latest", 1, line(2, 1))
    deliver(model, "latest", 2, line(3, 2))
    deliver(model, "latest", 3, line(3, 4), line(4, 8))
    assert counted(model) == {("Acme", 2): 1, ("Acme", 3): 4, ("Acme", 4): 8}
    model.retract(first)
    assert counted(model) == {("Acme", 3): 4, ("Acme", 4): 8}
    model.feeds["a"]["same_key"] = "replaces"  # the current value applies to all runs
    assert counted(model) == {("Acme", 3): 4, ("Acme", 4): 8}
    deliver(model, "latest", 4, line(5, 16))
    assert counted(model) == {("Acme", 5): 16}


def test_a_key_that_adds_counts_an_earlier_content_once() -> None:
    model = new_model(same_key="adds", redelivery="append")
    first = deliver(model, "latest", 1, line(2, 1))
    deliver(model, "latest", 2, line(2, 2))
    assert deliver(model, "latest", 3, line(2, 1)).same_as is first
    assert counted(model) == {("Acme", 2): 2}  # two versions of one part: the latest
    model.feeds["a"]["key_pattern"] = "(?P<part>x*)"
    assert counted(model) == {("Acme", 2): 2}
    model.load(key="a/latest")  # the first content, with the last-modified of the third object
    assert counted(model) == {("Acme", 2): 1}


def test_retracting_a_run_retracts_every_run_of_its_version() -> None:
    model = new_model()
    deliver(model, "1", 1, line(2, 1))
    deliver(model, "1", 2, line(2, 2))
    (again,) = model.load(key="a/1")
    assert again.staged
    model.retract(again)
    assert counted(model) == {("Acme", 2): 1}
    assert deliver(model, "1", 3, line(2, 2)).same_as is again  # a new delivery of the same content
    assert counted(model) == {("Acme", 2): 1}
    assert model.load(key="a/1")[0].staged
    assert counted(model) == {("Acme", 2): 2}


def test_a_retry_does_not_bring_a_retracted_version_back() -> None:
    model = new_model()
    run = deliver(model, "1", 1, line(2, 1))
    deliver(model, "1", 2, "Acme,x,C,A,1,0,0,0")
    model.retract(run)
    model.put("drops", "a/1", csv(line(2, 1)), at(3), "back")
    (again,) = model.load(retry=True)
    assert (again.status, again.same_as, counted(model)) == ("success", run, {})


def versioned(*contents: bytes, **feed: Any) -> Model:
    """Returns a model in which no version of the key `a/latest` was read."""
    model = new_model(same_key="adds", **feed)
    model.versioned.add("drops")
    for hour, content in enumerate(contents, start=1):
        model.put("drops", "a/latest", content, at(hour), f"{hash(content)}", f"v{hour}")
    return model


def test_versions_that_were_never_read_are_read_the_oldest_first() -> None:
    model = versioned(csv(line(2, 1)), csv(line(2, 2), line(3, 4)), csv(line(4, 8)))
    assert [run.object.version for run in model.load()] == ["v1", "v2", "v3"]
    assert model.load() == []
    assert counted(model) == {("Acme", 2): 2, ("Acme", 3): 4, ("Acme", 4): 8}
    model.delete("drops", "a/latest")  # a delete marker
    assert model.load() == [] == model.load(key="a/latest")
    model.feeds["a"]["same_key"] = "replaces"
    assert model.load() == []


def test_only_the_current_version_is_read_if_a_key_replaces() -> None:
    model = versioned(csv(line(2, 1)), csv(line(3, 2)))
    model.feeds["a"]["same_key"] = "replaces"
    assert [run.object.version for run in model.load()] == ["v2"]
    model.feeds["a"]["same_key"] = "adds"
    assert [run.object.version for run in model.load()] == ["v1"]
    assert counted(model) == {("Acme", 2): 1, ("Acme", 3): 2}


def test_a_version_can_be_loaded_by_its_id() -> None:
    model = versioned(csv(line(2, 1)), csv(line(2, 2)), csv(line(2, 4)))
    assert [run.object.version for run in model.load(key="a/latest?versionId=v2")] == ["v2"]
    assert [run.object.version for run in model.load(key="a/latest")] == ["v1", "v3"]
    (again,) = model.load(key="a/latest?versionId=v1")
    assert (again.staged, counted(model)) == (True, {("Acme", 2): 4})  # v3 is still the latest


def test_the_order_in_which_versions_are_read_changes_nothing() -> None:
    # v1 and v3 have the same content, which counts with the last-modified of v1
    contents = csv(line(2, 1)), csv(line(2, 2)), csv(line(2, 1))
    in_order, backwards = versioned(*contents), versioned(*contents)
    in_order.load()
    for version in ("v3", "v2", "v1"):
        backwards.load(reached=[("a/latest", at(int(version[1])))])
    assert [run.same_as is None for run in backwards.attempts] == [True, True, True]
    assert counted(in_order) == counted(backwards) == {("Acme", 2): 2}


def test_each_content_of_a_key_that_adds_waits_for_a_retry() -> None:
    bad = "Acme,x,C,A,1,0,0,0"
    model = versioned(csv(bad), csv(line(2, 1)), csv(bad, bad))
    model.load()
    assert [run.object.version for run in model.load(retry=True)] == ["v1", "v3"]
    model.versioned.clear()
    model.older.clear()  # as in a bucket without versions
    assert [run.object.version for run in model.load(retry=True)] == ["v3"]
    model.feeds["a"]["same_key"] = "replaces"
    assert [run.object.version for run in model.load(retry=True)] == ["v3"]


def test_a_span_covers_the_days_between_its_first_and_last() -> None:
    model = new_model()
    deliver(model, "1", 1, line(2, 1), line(3, 2), line(3, 4, "Beta"), line(5, 8))
    deliver(model, "2", 2, line(2, 16), line(4, 32))
    assert counted(model) == {
        ("Acme", 2): 16,
        ("Acme", 3): 2,
        ("Beta", 3): 4,
        ("Acme", 4): 32,
        ("Acme", 5): 8,
    }
    model.feeds["a"]["covers"] = "span"  # for every client; the fifth is outside
    assert counted(model) == {("Acme", 2): 16, ("Acme", 4): 32, ("Acme", 5): 8}


def test_a_span_includes_the_date_of_the_key() -> None:
    model = new_model(covers="span", key_pattern=r"(?P<date>\d{8})?$")
    deliver(model, "x", 1, line(2, 1), line(3, 2), line(5, 4))
    deliver(model, "20240103", 2, line(4, 8))
    assert counted(model) == {("Acme", 2): 1, ("Acme", 4): 8, ("Acme", 5): 4}
    deliver(model, "20240105", 3)  # only a header
    assert counted(model) == {("Acme", 2): 1, ("Acme", 4): 8}
    deliver(model, "y", 4)  # neither rows nor a date
    assert counted(model) == {("Acme", 2): 1, ("Acme", 4): 8}


def test_a_span_is_that_of_the_client_in_the_key() -> None:
    model = new_model(
        covers="span",
        key_pattern=r"a/(?P<client>\w+)/(?P<date>[0-9-]*)",
        client={"key_group": "client"},
    )
    for key, days in (("acme/1", (2, 3, 4)), ("beta/1", (3,)), ("beta/2", (2, 4))):
        deliver(model, key, int(key[-1]), *(line(day, day) for day in days))
    assert counted(model) == {("Acme", 2): 2, ("Acme", 3): 3, ("Acme", 4): 4, ("Beta", 2): 2, ("Beta", 4): 4}
    deliver(model, "gamma/2024-01-03", 5)  # an unknown client covers nothing …
    assert len(counted(model)) == 5
    model.feeds["a"] |= {"client": {"column": "Client"}}  # … until clients come from a column
    assert {day for _, day in counted(model)} == {2, 4}


def test_an_empty_span_of_a_part_leaves_the_other_parts() -> None:
    model = new_model(covers="span", key_pattern=r"(?P<part>[a-z])-(?P<date>.*)")
    deliver(model, "x-2024-01-02", 1, line(2, 1))
    deliver(model, "y-2024-01-02", 2, line(2, 2))
    deliver(model, "x-20240102", 3)
    assert counted(model) == {("Acme", 2): 2}


def test_the_latest_run_of_each_part_counts() -> None:
    model = new_model(key_pattern="(?P<part>[A-Z]*)[0-9]")
    deliver(model, "CH1", 1, line(2, 1), line(3, 2))
    deliver(model, "DE1", 2, line(2, 1))  # an equal part of another market
    deliver(model, "CH2", 3, line(2, 4))
    deliver(model, "3", 4, line(2, 8))  # the part with the empty name
    deliver(model, "4", 5, line(2, 16))
    assert counted(model) == {("Acme", 2): 4 + 1 + 16, ("Acme", 3): 2}
    model.feeds["a"]["key_pattern"] = ""
    assert counted(model) == {("Acme", 2): 16, ("Acme", 3): 2}
    model.feeds["a"]["redelivery"] = "append"  # every key is a part, and equal keys are copies
    assert counted(model) == {("Acme", 2): 1 + 1 + 4 + 8 + 16, ("Acme", 3): 2}
    model.feeds["a"]["key_pattern"] = "(?P<part>[0-9])"  # 1 is CH1 and DE1
    assert counted(model) == {("Acme", 2): 1 + 4 + 8 + 16, ("Acme", 3): 2}


def test_equal_hours_of_a_day_add_up() -> None:
    model = new_model(redelivery="append", key_pattern=r"(?P<date>[0-9-]{10})/(?P<part>\d\d)")
    for hour in (1, 2, 3):
        deliver(model, f"2024-01-02/0{hour}", hour, line(2, 7))
    assert counted(model) == {("Acme", 2): 21}


@pytest.mark.parametrize("setting", ["replace", "append"])
def test_a_delivery_replaces_all_parts_of_the_one_before(setting: str) -> None:
    model = new_model(redelivery=setting, key_pattern=r"\d-(?P<delivery>[a-z]*)")
    for hour, key, rows in (
        (1, "1-old", [line(2, 1), line(3, 2)]),
        (2, "2-old", [line(2, 4), line(2, 4, "Beta")]),
        (3, "1-new", [line(2, 8)]),
        (4, "2-new", [line(2, 8)]),  # an equal part
    ):
        deliver(model, key, hour, *rows)
    # the new delivery covers neither the third nor Beta
    assert counted(model) == {("Acme", 2): 16, ("Acme", 3): 2, ("Beta", 2): 4}
    deliver(model, "3-old", 3, line(2, 32))  # older than 2-new: of the superseded delivery
    assert counted(model)["Acme", 2] == 16
    deliver(model, "4-old", 5, line(2, 64))  # now the old delivery is the one with the latest run
    assert counted(model)["Acme", 2] == 1 + 4 + 32 + 64


def test_a_delivery_has_the_parts_that_the_pattern_names() -> None:
    model = new_model(key_pattern=r"(?P<part>\d)-(?P<delivery>[a-z])-")
    for hour, key in enumerate(("1-a-x", "2-a-x", "1-b-x", "2-b-x", "2-b-y"), start=1):
        deliver(model, key, hour, line(2, 10**hour))
    assert counted(model) == {("Acme", 2): 10**3 + 10**5}


def test_of_equal_files_under_append_the_earliest_counts_on_every_day() -> None:
    model = new_model(redelivery="append")
    deliver(model, "1", 5, line(2, 1))
    early = deliver(model, "2", 1, line(2, 1))
    assert counted(model) == {("Acme", 2): 1}
    model.retract(early)
    assert counted(model) == {("Acme", 2): 1}
    for key in ("3", "4"):
        deliver(model, key, 6, line(2, 2), line(3, 4))
    assert counted(model) == {("Acme", 2): 3, ("Acme", 3): 4}


def test_a_run_fails_if_the_date_of_its_key_is_not_in_the_file() -> None:
    model = new_model(key_date="in_file", key_pattern="(?P<date>[0-9-]*)$", max_rejected=0.5)
    assert deliver(model, "2024-01-12", 1, line(12, 1), line(1, 1)).staged
    other = deliver(model, "2024-01-05", 2, line(6, 1))
    assert (other.status, other.failure, other.rows) == ("failed", "content", [])
    assert deliver(model, "2024-01-08", 3).staged  # a file without rows passes
    unknown, bad = line(9, 1, "Nobody"), "Acme,2024-01-09,C,A,x,0,0,0"
    assert deliver(model, "2024-01-09", 4, line(8, 1), unknown).staged
    assert deliver(model, "20240109", 5, line(8, 1), bad).status == "failed"
    assert deliver(model, "2024-01-32", 6, line(8, 1)).status == "failed"
    assert deliver(model, "x", 7, line(8, 1)).status == "failed"
    model.feeds["a"]["key_date"] = "free"
    assert [run.status for run in model.load(retry=True)] == ["success"] * 5  # the unknown client's, too
    assert counted(model)["Acme", 8] == 1


def test_a_feed_that_moved_keeps_its_runs() -> None:
    model = new_model()
    first = deliver(model, "1", 1, line(2, 1), line(3, 2))
    model.feeds["a"] |= {"location": "s3://other/b/c/", "moved_from": FEED["location"]}
    copied = csv(line(2, 1), line(3, 2))
    model.put("other", "b/c/1", copied, at(5), "copy")
    (again,) = model.load()
    assert again.same_as is first
    assert counted(model) == {("Acme", 2): 1, ("Acme", 3): 2}
    model.put("other", "b/c/2", csv(line(2, 4)), at(4), "2")
    model.put("other", "b/c/1", csv(line(3, 8)), at(6), "1")  # replaces the key's version in the old bucket
    model.load()
    assert counted(model) == {("Acme", 2): 4, ("Acme", 3): 8}
    del model.feeds["a"]["moved_from"]  # now the old feed is another feed, and feeds add up
    assert counted(model) == {("Acme", 2): 1 + 4, ("Acme", 3): 2 + 8}


def test_a_feed_can_move_several_times_and_back() -> None:
    model = new_model()
    first = deliver(model, "1", 1, line(2, 1))
    for old, new in (("drops/a", "b"), ("b", "c"), ("c", "d")):
        model.feeds["a"] |= {"location": f"s3://{new}/", "moved_from": f"s3://{old}/"}
        model.put(new, "1", csv(line(2, 1)), at(9), new)
        assert [run.same_as for run in model.load()] == [first]
    model.feeds["a"] |= {"location": "s3://c/", "moved_from": "s3://d/"}
    model.put("c", "1", csv(line(2, 2)), at(10), "new")
    model.load()
    # c names d now, so that nothing says any more that the runs from b are this feed's
    assert counted(model) == {("Acme", 2): 1 + 2}
    model.feeds.clear()  # all that was read last still holds
    assert counted(model) == {("Acme", 2): 1 + 2}


def test_a_feed_that_is_gone_keeps_the_settings_that_were_read_last() -> None:
    model = new_model(redelivery="append")
    deliver(model, "1", 1, line(2, 1))
    deliver(model, "2", 2, line(2, 2))
    gone = model.feeds.pop("a")
    assert counted(model) == {("Acme", 2): 3}
    model.feeds["b"] = {**gone, "redelivery": "replace"}
    assert counted(model) == {("Acme", 2): 2}
    model.feeds["b"]["redelivery"] = "append"  # which no command reads
    model.feeds.clear()
    assert counted(model) == {("Acme", 2): 2}


def test_a_pattern_that_changes_gives_all_runs_other_groups() -> None:
    model = new_model()
    deliver(model, "x1", 1, line(2, 1))
    deliver(model, "y1", 2, line(2, 2))
    deliver(model, "y2", 3, line(2, 4))
    assert counted(model) == {("Acme", 2): 4}
    model.feeds["a"]["key_pattern"] = "a/(?P<part>[xy])"
    assert counted(model) == {("Acme", 2): 1 + 4}
    model.feeds["a"]["key_pattern"] = "a/y(?P<part>[0-9])"  # does not match x1: the empty part
    assert counted(model) == {("Acme", 2): 1 + 2 + 4}


def test_an_alias_replaces_a_name_and_a_clients_own_takes_precedence() -> None:
    model = new_model()
    deliver(
        model,
        "1",
        1,
        *(f"{who},2024-01-02,{name},A,1,0,0,0" for who in ("Acme", "Beta") for name in ("Old", "New")),
    )
    model.aliases = [
        ("", "campaign", "Old", "New"),
        ("beta", "campaign", "Old", "Own"),
        ("", "creative", "Old", "X"),
    ]
    assert {path[:2]: row.impressions for (_, path), row in model.daily().items()} == {
        (ACME, "New"): 2,
        (BETA, "Own"): 1,
        (BETA, "New"): 1,
    }
    assert model.dimensions()["campaign"] == {(ACME, "New"), (BETA, "Own"), (BETA, "New")}


# The marts


def test_dimensions_keep_superseded_names_and_lose_retracted_ones() -> None:
    model = new_model()
    first = deliver(model, "1", 1, "Acme,2024-01-02,C,A,1,0,0,0")
    deliver(model, "1", 2, "Acme,2024-01-02,D,A,1,0,0,0")
    assert model.dimensions() == {
        "campaign": {(ACME, "C"), (ACME, "D")},
        "strategy": {(ACME, "C", "(not set)"), (ACME, "D", "(not set)")},
        "placement": {(ACME, "C", "(not set)", "(not set)"), (ACME, "D", "(not set)", "(not set)")},
        "creative": {(ACME, "C", "(not set)", "(not set)", "A"), (ACME, "D", "(not set)", "(not set)", "A")},
    }
    first.retracted = True
    assert model.dimensions()["campaign"] == {(ACME, "D")}


def test_the_cpm_in_force_has_the_latest_effective_date_up_to_the_day() -> None:
    model = new_model()
    assert model.cpm(ACME, TUESDAY) is None
    model.cpms = {
        (ACME, None): Decimal("1.0000"),
        (ACME, TUESDAY): Decimal("2.0000"),
        (ACME, date(2024, 1, 5)): Decimal("3.0000"),
        (BETA, date(2024, 1, 5)): Decimal("9.0000"),
    }
    days = [TUESDAY - timedelta(1), TUESDAY, date(2024, 1, 4), date(2024, 1, 5)]
    assert [model.cpm(ACME, on) for on in days] == [Decimal(cpm) for cpm in (1, 2, 2, 3)]
    assert model.cpm(BETA, TUESDAY) is None


def test_a_row_of_daily_metrics_has_spend_and_ratios() -> None:
    model = new_model()
    model.cpms = {(ACME, None): Decimal("2.5000")}
    deliver(model, "1", 1, "Acme,2024-01-02,C,A,1234,7,3,100.00")
    assert model.daily() == {
        (TUESDAY, (ACME, "C", "(not set)", "(not set)", "A")): Figures(
            impressions=1234,
            clicks=7,
            conversions=3,
            revenue=Decimal("100.00"),
            spend=Decimal("3.09"),  # 1234 * 2.5 / 1000 = 3.085
            ctr=Decimal("0.005673"),  # 7 / 1234 = 0.0056726…
            cpc=Decimal("0.4414"),  # 3.09 / 7 = 0.44142…
            cpa=Decimal("1.0300"),
            roas=Decimal("32.3625"),  # 100 / 3.09 = 32.36245…
        )
    }


def test_without_a_cpm_spend_is_null_and_never_zero() -> None:
    model = new_model()
    deliver(model, "1", 1, "Acme,2024-01-02,C,A,1000,1,1,5", "Beta,2024-01-02,C,A,0,0,0,5")
    model.cpms = {(BETA, None): Decimal("1.0000")}
    without, free = model.daily().values()
    assert (without.spend, without.cpc, without.cpa, without.roas, without.ctr) == (
        None,
        None,
        None,
        None,
        Decimal("0.001"),
    )
    assert (free.spend == Decimal(), free.cpc, free.cpa, free.roas, free.ctr) == (
        True,
        None,
        None,
        None,
        None,
    )


def test_a_figure_that_does_not_fit_is_null() -> None:
    model = new_model()
    model.cpms = {(ACME, None): Decimal("100000.0000")}
    big = "Acme,2024-01-02,C,A,9223372036854775807,5,0,9999999999.99"
    deliver(
        model,
        "1",
        1,
        big,
        "Acme,2024-01-02,C,A,1,5,0,0.01",
        big.replace(",C,A,", ",D,A,").replace("9223372036854775807", "100000000"),
    )
    summed, one = model.daily().values()
    assert (summed.impressions, summed.clicks, summed.revenue, summed.spend, summed.ctr) == (
        None,
        10,
        None,
        None,
        None,
    )
    assert (one.impressions, one.spend, one.revenue) == (
        10**8,
        None,
        Decimal("9999999999.99"),
    )  # spend 10,000,000,000


def test_weeks_and_months_sum_daily_metrics() -> None:
    model = new_model()
    model.cpms = {(ACME, None): Decimal("10.0000"), (BETA, date(2024, 1, 30)): Decimal("10.0000")}
    deliver(
        model,
        "1",
        1,
        "Acme,2024-01-28,C,A,100,1,0,1",  # a Sunday
        "Acme,2024-01-29,C,A,100,1,1,2",  # a Monday
        "Acme,2024-01-31,C,A,200,2,1,4",
        "Acme,2024-02-01,D,B,300,0,0,6",
        "Beta,2024-01-29,C,A,100,1,1,2",  # before Beta has a CPM
        "Beta,2024-01-31,C,A,100,1,1,2",
    )
    weeks = model.weekly(by_name)
    assert {group: (row["impressions"], row["revenue"], row["spend"]) for group, row in weeks.items()} == {
        (ACME, date(2024, 1, 22), date(2024, 1, 28)): (100, 1, 1),
        (ACME, date(2024, 1, 29), date(2024, 2, 4)): (600, 12, 6),
        (BETA, date(2024, 1, 29), date(2024, 2, 4)): (200, 4, None),
    }
    week = weeks[ACME, date(2024, 1, 29), date(2024, 2, 4)]
    ratios = [week[column] for column in ("clicks", "conversions", "ctr", "cpc", "cpa", "roas")]
    assert ratios == [3, 2, Decimal("0.005"), Decimal(2), Decimal(3), Decimal(2)]
    assert [
        (item["rank"], item["name"], item["revenue"], item["spend"]) for item in week["top_campaigns"]
    ] == [
        (1, "C", Decimal(6), Decimal(3)),  # revenue and spend equal D's: the id decides
        (2, "D", Decimal(6), Decimal(3)),
    ]
    assert [item["id"] for item in week["top_creatives"]] == [
        f"{ACME}/C/(not set)/(not set)/A",
        f"{ACME}/D/(not set)/(not set)/B",
    ]
    assert {
        group[1:]: row["impressions"] for group, row in model.monthly(by_name).items() if group[0] == ACME
    } == {
        (date(2024, 1, 1), date(2024, 1, 31)): 400,
        (date(2024, 2, 1), date(2024, 2, 29)): 300,
    }


def test_top_lists_are_ranked_and_limited_to_top_n() -> None:
    model = new_model()
    model.cpms = {(ACME, None): Decimal("1000.0000")}
    deliver(
        model,
        "1",
        1,
        *(f"Acme,2024-01-02,C{n:02},A,{imps},0,0,{n // 3}" for n, imps in enumerate([1, 2, 2] * 4)),
    )
    (week,) = model.weekly(by_name).values()
    expected = ["C10", "C11", "C09", "C07", "C08", "C06", "C04", "C05", "C03", "C01"]
    assert [item["name"] for item in week["top_campaigns"]] == expected
    (short,) = model.weekly(by_name, top_n=2).values()
    assert [item["rank"] for item in short["top_campaigns"]] == [1, 2]
