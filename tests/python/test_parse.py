"""Reading files: cells, rejected rows, encodings, compression."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from datetime import date
from typing import Any, BinaryIO, cast

import pytest
import zstandard

from loader.errors import ContentError
from loader.files.compression import decompressed
from loader.files.feeds import Feed
from loader.files.records import Reject, Row
from loader.files.rows import parse
from loader.names import client_key

ACME = "11111111-1111-1111-1111-111111111111"
COLUMNS = {"date": "Date", "impressions": "Imps", "campaign_name": "Campaign"}


def feed(columns: dict[str, Any] | None = None, client: dict[str, Any] | None = None, **form: Any) -> Feed:
    return Feed.model_validate(
        {
            "name": "ttd",
            "location": "s3://drops/ttd/",
            "key_pattern": r"(?P<group>\w+)\.csv",
            "client": client or {"name": "Acme"},
            "columns": COLUMNS if columns is None else columns,
            "format": form,
        }
    )


def read(content: str | bytes, declared: Feed, key_client: str | None = None) -> list[Row | Reject]:
    packed = content.encode() if isinstance(content, str) else content
    clients = {client_key("Acme"): ACME, client_key(ACME): ACME}
    stream = decompressed(io.BytesIO(packed))
    day = date(2024, 1, 6)
    parsed = parse(stream, declared, clients=clients, key_client=key_client, last_modified=day)
    found: list[Row | Reject] = []
    for block in parsed:
        found += [*block.rejects, *block.rows]
    return found


def cell(column: str, text: str, **form: Any) -> str | None:
    """Returns a cell's staged value, or the reason why its row is rejected."""
    quoted = '"' + text.replace('"', '""') + '"'
    mapped = {"date": "Date", "impressions": "Imps"} | {column: "X"}
    (row,) = read(f"Date,Imps,X\n2024-01-05,1,{quoted}\n", feed(mapped, **form))
    names = ("campaign_name", "strategy_name", "placement_name", "creative_name")
    order = ("", "date", *names, "impressions", "clicks", "ctr", "conversions", "conversion_revenue")
    return row.reason if isinstance(row, Reject) else row[order.index(column)]


def test_an_unmapped_column_is_not_set_zero_or_null() -> None:
    assert read("Date,Imps,Campaign\n2024-01-05,5,A\n", feed()) == [
        (ACME, "2024-01-05", "A", "(not set)", "(not set)", "(not set)", "5", "0", None, "0", "0.00")
    ]


def test_a_column_can_be_a_constant_or_a_position() -> None:
    mapped = {"date": "Date", "impressions": {"position": 3}, "campaign_name": {"constant": " Brand "}}
    (row,) = read("Date,N,N\n2024-01-05,1,2\n", feed(mapped))
    assert (row[6], row[2]) == ("2", "Brand") if isinstance(row, tuple) else False


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("", "0"), ("-", "0"), (" -- ", "0"), ("12.0", "12"), ("1,234,567", "1234567"), ("007", "7")],
        *[("$1", "number"), ("1.5", "number"), ("-1", "number"), ("-0", "0"), ("NaN", "number")],
        *[("inf", "number"), ("1,23", "number"), ("1234,567", "number"), (",123", "number")],
        *[("1e3", "number"), ("5%", "number"), ("٣", "number"), ("1_000", "number"), (".", "number")],
        *[("9223372036854775807", "9223372036854775807"), ("9223372036854775808", "number")],
        *[("9" * 5_000, "number"), ("0" * 5_000, "0"), (" " * 5_000 + "x", "number"), ("1\0", "number")],
    ],
)
def test_counts_are_read_or_rejected(text: str, value: str) -> None:
    assert cell("clicks", text) == value


@pytest.mark.parametrize("bad_count", ["9223372036854775808", "1" * 30, "1\n2", "01x", "-1", "1.5"])
def test_a_bad_count_is_found_among_good_ones(bad_count: str) -> None:
    for place in range(20):
        counts = [f"{10**digits}" for digits in range(18)] + ["0", "7"]
        counts.insert(place, bad_count)
        rows = "".join(f'2024-01-05,"{count}",A\n' for count in counts)
        (bad,) = [row for row in read(f"Date,Imps,Campaign\n{rows}", feed()) if isinstance(row, Reject)]
        assert (bad.reason, bad.line) == ("number", place + 2)


def test_fractional_counts_are_rounded_if_the_feed_says_so() -> None:
    assert cell("clicks", "1.5", fractional="round") == "2"
    assert cell("clicks", "2.49", fractional="round") == "2"
    assert cell("clicks", "-0.1", fractional="round") == "number"
    assert cell("clicks", "9223372036854775807.5", fractional="round") == "number"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("$1,234.565", "1234.57"), ("-$0.005", "-0.01"), ("$-0.005", "-0.01"), ("-0.004", "0.00")],
        *[("5 $", "5.00"), ("€5", "number"), ("$5$", "number"), ("$", "number"), ("--", "0.00")],
        *[("9999999999.99", "9999999999.99"), ("9999999999.995", "number"), ("5%", "number")],
    ],
)
def test_revenue_is_read_or_rejected(text: str, value: str) -> None:
    assert cell("conversion_revenue", text, currency="$") == value


def test_revenue_with_a_decimal_comma_is_read() -> None:
    assert cell("conversion_revenue", "1.234,5 €", decimal=",", currency="€") == "1234.50"
    assert cell("conversion_revenue", "1,234.5", decimal=",") == "number"


def test_ctr_is_read_or_rejected() -> None:
    cases = {"": None, "-": None, "2.5%": "0.025000", "0.0000005": "0.000001", "0.5 %": "0.005000"}
    assert {text: cell("ctr", text) for text in cases} == cases
    assert (cell("ctr", "1000000"), cell("ctr", "999999.9999994")) == ("number", "999999.999999")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("2024-01-07", "2024-01-07"), ("2024-01-08", "date"), ("2000-01-01", "2000-01-01")],
        *[("1999-12-31", "date"), ("05.01.2024", "date"), ("", "date"), ("2024-02-30", "date")],
    ],
)
def test_dates_are_read_or_rejected(text: str, value: str) -> None:
    assert cell("date", text) == value


def test_names_are_trimmed_and_normalized() -> None:
    assert cell("creative_name", "  Cafe\u0301\n") == "Café"
    assert cell("creative_name", " \t ") == "(not set)"
    assert cell("creative_name", "é" * 255) == "é" * 255
    assert cell("creative_name", "é" * 256) == cell("creative_name", "a\0b") == "name"
    assert cell("creative_name", "x" * 300_000) == "name"


def test_a_reject_has_the_first_reason_that_applies_its_line_and_its_text() -> None:
    long = "n" * 256
    content = (
        f'Date,Imps,Campaign,Who\n\n  \nx,y,{long},Z\r\n2024-01-05,y,"two\nlines",Z\n'
        f"2024-01-05,1,{long},Z\r2024-01-05,1,A,Zed\0\n2024-01-05,1\n,,,\n2024-01-05,1,A, aCME \n"
    )
    found = read(content, feed(client={"column": "Who"}))
    rejects = [entry for entry in found if isinstance(entry, Reject)]
    reasons = [(4, "date"), (5, "number"), (7, "name"), (8, "client"), (9, "fields"), (10, "date")]
    assert [(reject.line, reject.reason) for reject in rejects] == reasons
    assert [reject.client for reject in rejects] == [None, None, None, "Zed\\x00", None, None]
    assert rejects[1].raw == '2024-01-05,y,"two\nlines",Z'
    assert rejects[3].raw == "2024-01-05,1,A,Zed\\x00"
    assert "\0" not in rejects[3].sentence and "Zed" in rejects[3].sentence
    assert len(found) == 7 and isinstance(found[-1], tuple)


def test_a_very_long_raw_line_is_shortened() -> None:
    (reject,) = read(f"Date,Imps,Campaign\nx,1,{'n' * 500_000}\n", feed())
    assert isinstance(reject, Reject) and len(reject.raw) < 11_000 and "500,004 characters" in reject.raw


def test_the_client_can_come_from_the_key_or_the_feed() -> None:
    content = "Date,Imps,Campaign\n2024-01-05,1,A\n2024-01-05,1,B\n"
    by_key = feed(client={"key_group": "group"})
    assert [row[0] for row in read(content, by_key, ACME.upper()) if isinstance(row, tuple)] == [ACME] * 2
    for rows in (read(content, by_key, "Nobody"), read(content, feed(client={"name": "Nobody"}))):
        found = [(row.reason, row.client) for row in rows if isinstance(row, Reject)]
        assert found == [("client", "Nobody")] * 2
    assert [row.reason for row in read(content, by_key, None) if isinstance(row, Reject)] == ["client"] * 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-32", "shift_jis"])
def test_declared_encodings_are_read(encoding: str) -> None:
    name = "東京" if encoding == "shift_jis" else "Café"
    content = f"Date,Imps,Campaign\r\n2024-01-05,1,{name}\r\n".encode(encoding)
    (row,) = read(content, feed(encoding="utf-8" if encoding == "utf-8-sig" else encoding))
    assert isinstance(row, tuple) and row[2] == name


def test_header_row_and_delimiter_are_respected() -> None:
    content = "Report of the day\n\nDate;Imps;Campaign\n"
    assert read(content, feed(delimiter=";", header_row=3)) == []
    (row,) = read(f"{content}x;1;A\n", feed(delimiter=";", header_row=3))
    assert isinstance(row, Reject) and row.line == 4


ROW = b"Date,Imps,Campaign\n2024-01-05,1,A\n"
GZIP = gzip.compress(ROW, mtime=0)


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        (b"", {}, "empty"),
        (gzip.compress(b"", mtime=0), {}, "empty"),
        (b"\xef\xbb\xbf", {}, "no header"),
        (ROW, {"header_row": 9}, "header_row"),
        (b"Date,Imps\n", {}, 'campaign_name .*"Campaign".*it has Date, Imps'),
        (b"Date,Imps,Imps,Campaign\n", {}, r"impressions .*positions 2, 3: .*\{position: 2\}"),
        (ROW * 20_000 + b"\xff", {}, "line 40001 is not valid utf-8"),
        (b"Date,Imps,Campaign\n2024-01-05,1,\xc3", {}, "line 2 is not valid utf-8"),
        (b"Date,Imps,Campaign\n\n\n\xff\n", {}, "line 4 is not valid utf-8"),
        (ROW, {"encoding": "klingon"}, "encoding 'klingon' is unknown"),
        (ROW, {"encoding": "hex"}, "encoding 'hex' is unknown"),
        (ROW + b'"' + b"x\n" * 600_000, {}, "record that starts at line 3 .*quotes"),
        (ROW + b"x" * 3_000_000, {}, "line 3 has more than"),
        (GZIP[:-1], {}, "gzip archive is truncated"),
        (GZIP[:20] + b"!!!!" + GZIP[24:], {}, "gzip archive is broken"),
        (GZIP + b"junk", {}, "gzip archive is broken"),
        (bz2.compress(ROW)[:-1], {}, "bzip2 archive is truncated"),
        (lzma.compress(ROW)[:-1], {}, "xz archive is truncated"),
        (zstandard.compress(ROW)[:-1], {}, "zstd archive is truncated"),
        (b"PK\x03\x04 and no more", {}, "zip archive cannot be read"),
    ],
)
def test_a_bad_file_fails_with_a_message(content: bytes, form: dict[str, Any], message: str) -> None:
    with pytest.raises(ContentError, match=message):
        read(content, feed(**form))


def test_a_position_beyond_the_header_fails_the_file() -> None:
    with pytest.raises(ContentError, match="position 7, but the header has 3"):
        read(ROW, feed({"date": "Date", "impressions": {"position": 7}}))


def zipped(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, ROW)
    return target.getvalue()


def test_compression_is_detected_from_the_content() -> None:
    half = len(ROW) // 2
    members = gzip.compress(ROW[:half], mtime=0) + gzip.compress(ROW[half:], mtime=0) + b"\0" * 9
    packings = (ROW, GZIP, members, bz2.compress(ROW), lzma.compress(ROW), zstandard.compress(ROW))
    for packed in (*packings, zipped("a.csv"), zipped("folder/", "folder/a.csv")):
        assert len(read(packed, feed())) == 1
    assert decompressed(io.BytesIO(b"BZhours,Imps\n")).read() == b"BZhours,Imps\n"
    for archive in (zipped(), zipped("a.csv", "b.csv")):
        with pytest.raises(ContentError, match="exactly one"):
            read(archive, feed())


def test_a_broken_connection_is_not_reported_as_a_broken_archive() -> None:
    class BrokenStream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 10:
                raise ConnectionResetError("reset")
            return super().read(size)

    for packed in (bz2.compress(ROW), GZIP, zipped("a.csv")):
        with pytest.raises(ConnectionResetError):
            decompressed(cast(BinaryIO, BrokenStream(packed))).read()
