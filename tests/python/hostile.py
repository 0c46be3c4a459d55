"""Hostile files, generated as streams: `python hostile.py read NAME` prints the result of reading one.

Each is written and read in processes of its own, because a process's peak of memory never falls.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date
from typing import Any, BinaryIO, cast

import zstandard

from loader.errors import ContentError
from loader.files.compression import decompressed
from loader.files.feeds import Feed
from loader.files.records import Reject
from loader.files.rows import parse

MB = 1 << 20
HEADER = b"Date,Who,Imps,Name\n"
GOOD = b"2024-01-05,Acme,1,x\n"
CLIENTS = {"acme": "11111111-1111-1111-1111-111111111111"}
FEED = {
    "name": "f",
    "location": "s3://drops/f/",
    "client": {"column": "Who"},
    "columns": {"date": "Date", "impressions": "Imps", "campaign_name": "Name"},
}


def repeated(content: bytes, size: int) -> Iterator[bytes]:
    """Yields about `size` bytes of repeated content."""
    block = content * max(1, MB // len(content))
    for _ in range(size // len(block)):
        yield block


def bomb(write: Callable[[io.BytesIO], Any], content: Iterable[bytes]) -> list[bytes]:
    """Compresses content in memory; returns it as a single block."""
    packed = io.BytesIO()
    with write(packed) as file:
        for block in content:
            file.write(block)
    return [packed.getvalue()]


def zip_bomb(method: int, content: Iterable[bytes]) -> list[bytes]:
    """Returns a zip whose only member is compressed by a method of zipfile."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive, archive.open("x.csv", "w") as file:
        for block in content:
            file.write(block)
    return [packed.getvalue()]


def zip_of_empty_members(count: int) -> list[bytes]:
    """Returns a zip with many empty members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(count):
            archive.writestr(str(number), b"")
    return [packed.getvalue()]


MARKS = ("a" + "\u0300\u0327" * 240_000).encode()
"""Normalising this takes minutes, because the time grows with the square of the number of marks."""


def rows(count: int, row: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yields a header and rows."""
    yield HEADER
    for number in range(count):
        yield row(number)


def wide_window(window: int) -> Any:
    """Returns zstd parameters for a window of 2 ** `window` bytes."""
    return zstandard.ZstdCompressionParameters(window_log=window, enable_ldm=True)


HOSTILE: dict[str, Callable[[], Iterable[bytes]]] = {
    "gzip bomb of zeros": lambda: bomb(
        lambda to: gzip.GzipFile(mode="wb", fileobj=to), repeated(b"\0", 1024 * MB)
    ),
    "gzip bomb of rows": lambda: bomb(
        lambda to: gzip.GzipFile(mode="wb", fileobj=to), [HEADER, *repeated(GOOD, 8 * MB)]
    ),
    "bzip2 bomb": lambda: bomb(lambda to: bz2.BZ2File(to, "wb"), repeated(b"\0", 512 * MB)),
    "xz bomb": lambda: [lzma.compress(b"\0" * (256 * MB), preset=6)],
    "zstd bomb": lambda: bomb(
        lambda to: zstandard.ZstdCompressor().stream_writer(to, closefd=False), repeated(b"\0", 1024 * MB)
    ),
    "zstd with the widest window": lambda: bomb(
        lambda to: zstandard.ZstdCompressor(compression_params=wide_window(27)).stream_writer(
            to, closefd=False
        ),
        [HEADER, *repeated(b"x" * 900_000 + b"\n", 200 * MB)],
    ),
    "zstd with a window too wide": lambda: bomb(
        lambda to: zstandard.ZstdCompressor(compression_params=wide_window(29)).stream_writer(
            to, closefd=False
        ),
        repeated(GOOD, 600 * MB),
    ),
    "zip bomb": lambda: zip_bomb(zipfile.ZIP_DEFLATED, [HEADER, *repeated(GOOD, 8 * MB)]),
    "zip bomb by bzip2": lambda: zip_bomb(zipfile.ZIP_BZIP2, repeated(b"\0", 300 * MB)),
    "zip bomb by lzma": lambda: zip_bomb(zipfile.ZIP_LZMA, repeated(b"\0", 300 * MB)),
    "zip of 200,000 empty members": lambda: zip_of_empty_members(200_000),
    "name of combining marks": lambda: [HEADER, b"2024-01-05,Acme,1,%s\n" % MARKS],
    "client of combining marks": lambda: [HEADER, b"2024-01-05,%s,1,x\n" % MARKS],
    "number of combining marks": lambda: [HEADER, b"2024-01-05,Acme,%s,x\n" % MARKS],
    "header of combining marks": lambda: [HEADER.strip(), b",", MARKS, b"\n", GOOD],
    "endless line": lambda: repeated(b"x", 300 * MB),
    "endless quoted field": lambda: [HEADER, b'"', *repeated(GOOD, 100 * MB)],
    "NULs": lambda: [HEADER, *repeated(b"\0", 300 * MB)],
    "lines of NULs": lambda: [HEADER, *repeated(b"\0\0\0\n", 2 * MB)],
    "carriage returns only": lambda: [HEADER, *repeated(b"\r", 4 * MB)],
    "ten thousand columns": lambda: [
        b",".join([b"Date,Who,Imps,Name", *(b"c%d" % n for n in range(9_996))]),
        *(b"\n" + GOOD.strip() + b"," * (9_996 + n % 2) for n in range(2_000)),
    ],
    "a million commas": lambda: [HEADER, *repeated(b"," * 999_000 + b"\n", 60 * MB)],
    "gigantic fields": lambda: rows(60, lambda n: b"2024-01-05,Acme,1,%s\n" % (b"x" * 900_000)),
    "gigantic numbers": lambda: rows(60, lambda n: b"2024-01-05,Acme,%s,x\n" % (b"9" * 900_000)),
    "gigantic clients": lambda: rows(60, lambda n: b"2024-01-05,%s,1,x\n" % (b"%d" % n * 400_000)),
    "a new name in every row": lambda: rows(150_000, lambda n: b"2024-01-05,Acme,%d,name %d\n" % (n, n)),
    "a new client in every row": lambda: rows(150_000, lambda n: b"2024-01-05,who %d,%d,x\n" % (n, n)),
    "line breaks in quotes": lambda: rows(40, lambda n: b'2024-01-05,Acme,1,"%s"\n' % (b"\n" * 400_000)),
    "utf-16 in a utf-8 feed": lambda: [(HEADER + GOOD).decode().encode("utf-16"), *repeated(b"\0x", MB)],
}


def make(name: str) -> None:
    """Writes a hostile file to stdout, until the reader stops."""
    with suppress(BrokenPipeError):
        for block in HOSTILE[name]():
            sys.stdout.buffer.write(block)
        sys.stdout.buffer.flush()
    os._exit(0)


def read(name: str) -> dict[str, Any]:
    """Reads a hostile file that another process writes; returns counts, error and growth of memory."""
    feed = Feed.model_validate(FEED)
    message, staged, rejected = "", 0, 0
    with subprocess.Popen([sys.executable, __file__, "make", name], stdout=subprocess.PIPE) as maker:
        stream = cast(BinaryIO, maker.stdout)
        before = peak()
        try:
            for item in parse(
                decompressed(stream), feed, clients=CLIENTS, key_client=None, last_modified=date(2024, 1, 6)
            ):
                rejected += isinstance(item, Reject)
                staged += not isinstance(item, Reject)
        except ContentError as error:
            message = str(error)
        maker.kill()
    return {"staged": staged, "rejected": rejected, "message": message, "grown_mb": (peak() - before) // 1024}


def peak() -> int:
    """Returns this process's peak of memory, in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        print(json.dumps(read(sys.argv[2])))
