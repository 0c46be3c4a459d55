"""Random and damaged files: the result is rows, rejects or one sentence, never another exception."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from datetime import date
from typing import Any

import model_files as model
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import ContentError
from loader.files.compression import decompressed
from loader.files.feeds import Feed
from loader.files.records import Reject, Row
from loader.files.rows import parse
from loader.names import client_key

CLIENTS = {"acme": "11111111-1111-1111-1111-111111111111"}
MODIFIED = date(2024, 1, 6)
HEADER = "Date,Who,Imps,CTR,Rev,Name"
DECLARED: dict[str, Any] = {
    "client": {"column": "Who"},
    "columns": {
        "date": "Date",
        "impressions": "Imps",
        "ctr": "CTR",
        "conversion_revenue": "Rev",
        "campaign_name": "Name",
    },
}
ENCODINGS = ("utf-8", "utf-16", "latin-1", "utf-7", "shift_jis", "gb18030", "hex", "?")
PACKERS: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zstandard.compress,
)

plain = st.sampled_from(["2024-01-05", "Acme", "1", "1,234", "2.5%", "-$3.455", "", "--", "a\nb", '"', "\0"])
numeric = st.text("0123456789.,-+$€% ", max_size=12)
cells = plain | numeric | st.text(max_size=12)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


good = st.tuples(st.just("2024-01-05"), st.just("acme "), numeric, numeric, numeric, cells).map(
    lambda record: ",".join(map(quoted, record))
)
wild = st.lists(cells.map(quoted) | cells, max_size=8).map(",".join)
rows = st.lists(good | wild, max_size=6).map("\n".join)


def parsed(content: bytes, form: dict[str, Any]) -> list[Row | Reject]:
    """Reads content; only rows, rejects and ContentError are allowed."""
    feed = Feed.model_validate(
        {"name": "f", "location": "s3://drops/f/", "key_pattern": "x", "format": form} | DECLARED
    )
    assert client_key("Acme") in CLIENTS
    stream = decompressed(io.BytesIO(content))
    blocks = parse(stream, feed, clients=CLIENTS, key_client=None, last_modified=MODIFIED)
    found: list[Row | Reject] = []
    for block in blocks:
        found += [*block.rejects, *block.rows]
    for entry in found:
        texts = (entry.raw, entry.sentence, entry.client) if isinstance(entry, Reject) else entry
        for text in texts:
            assert text is None or b"\0" not in text.encode()
    return found


def check_reads_or_fails_with_a_sentence(content: bytes, form: dict[str, Any]) -> None:
    try:
        parsed(content, form)
    except ContentError as error:
        sentence = str(error)
        assert sentence and "\n" not in sentence and "\0" not in sentence and sentence.encode()


@settings(deadline=None, max_examples=300)
@given(rows, st.sampled_from(["reject", "round"]), st.sampled_from([".", ","]))
def test_any_text_is_read_as_by_the_model(text: str, fractional: str, decimal: str) -> None:
    content = f"{HEADER}\n{text}".encode(errors="replace")
    form = {"currency": "$", "fractional": fractional, "decimal": decimal}
    staged, rejected = model.read(content, DECLARED | {"format": form}, CLIENTS, None, MODIFIED)
    found = parsed(content, form)
    rejects = [(entry.line, entry.reason) for entry in found if isinstance(entry, Reject)]
    assert rejects == [(entry.line, entry.reason) for entry in rejected]
    expected = [tuple(None if value is None else str(value) for value in row) for row in staged]
    assert [entry for entry in found if isinstance(entry, tuple)] == expected


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.text(st.characters(exclude_characters='"\r\n'), max_size=30) | good, max_size=8),
    st.booleans(),
)
def test_every_line_is_a_row_or_a_reject_with_its_text(texts: list[str], returns: bool) -> None:
    """The lines have no quotes, or are good rows, so that each line is one record."""
    texts = [text for text in texts if "\n" not in text and "\r" not in text]
    content = ("\r\n" if returns else "\n").join((HEADER, *texts)).encode(errors="replace")
    found = parsed(content, {"currency": "$"})
    lines = [number for number, text in enumerate(texts, start=2) if text.strip()]
    rejected = {entry.line: entry.raw for entry in found if isinstance(entry, Reject)}
    assert len(found) == len(lines)
    assert set(rejected) <= set(lines)
    for line, raw in rejected.items():
        assert raw == texts[line - 2].encode(errors="replace").decode().replace("\0", "\\x00")


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(ENCODINGS), st.booleans())
def test_any_bytes_give_rows_or_a_sentence(tail: bytes, encoding: str, headed: bool) -> None:
    check_reads_or_fails_with_a_sentence(
        (HEADER.encode() + b"\n" if headed else b"") + tail, {"encoding": encoding}
    )


@settings(deadline=None, max_examples=200)
@given(
    rows,
    st.sampled_from(PACKERS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(0, 400),
)
def test_a_damaged_archive_gives_rows_or_a_sentence(
    text: str, pack: Callable[[bytes], bytes], damages: list[tuple[int, int]], cut: int
) -> None:
    packed = bytearray(pack(f"{HEADER}\n{text}".encode(errors="replace")))
    for place, value in damages:
        packed[place % len(packed)] = value
    check_reads_or_fails_with_a_sentence(bytes(packed[: len(packed) - cut % len(packed)]), {})


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=120))
def test_any_bytes_after_a_zip_signature_give_a_sentence(tail: bytes) -> None:
    check_reads_or_fails_with_a_sentence(b"PK\x03\x04" + tail, {})
    check_reads_or_fails_with_a_sentence(b"PK\x05\x06" + tail, {})
