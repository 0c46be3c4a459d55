"""Unpacks a stream as its own first bytes say, with memory that does not grow with the content.

What a damaged archive does is a ContentError; what the source's `read` raises passes through untouched, so
that a broken connection is never taken for a broken file.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, Protocol

import zstandard

from loader.errors import ContentError

CHUNK = 1 << 16
MEMORY = 1 << 27  # what an archive may ask for as its dictionary or window: all of xz -9 and zstd --ultra
IN_MEMORY = 1 << 23  # a zip up to this size is not written to disk


class _Worker(Protocol):
    """What zlib, bz2, lzma and zstandard have in common; `needs_input` and `limit` are of the middle two."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, limit: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class _Packing:
    """A compressed format; `step` bytes unpack to some 30 MB at the very worst, or to `limit` at once."""

    name: str
    magic: re.Pattern[bytes]
    step: int
    worker: Callable[[], Any]
    errors: tuple[type[Exception], ...]
    limit: tuple[int, ...] = ()


PACKINGS = (
    _Packing("gzip", re.compile(rb"\x1f\x8b\x08"), 1 << 14, lambda: zlib.decompressobj(31), (zlib.error,)),
    _Packing(
        "bzip2",  # its first three bytes alone could begin a header
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
        1 << 10,
        bz2.BZ2Decompressor,
        (OSError, ValueError, EOFError),
        (1 << 22,),  # a block of some forty bytes may hold 45 MB
    ),
    _Packing(
        "xz",
        re.compile(rb"\xfd7zXZ\x00"),
        1 << 10,
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY),
        (lzma.LZMAError, EOFError),
        (1 << 22,),
    ),
    _Packing(
        "zstd",
        re.compile(rb"\x28\xb5\x2f\xfd"),
        1 << 10,
        lambda: zstandard.ZstdDecompressor(max_window_size=MEMORY).decompressobj(),
        (zstandard.ZstdError,),
    ),
)
ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")  # the second: a zip without members
MAGIC_BYTES = 10


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Returns the unpacked content of a stream: as it is, gzip, bzip2, xz, zstd, or a zip's only member.

    The result's `read` raises ContentError where the archive is broken, truncated or not one file. Closing it
    leaves `stream` open.
    """
    head = b""
    while len(head) < MAGIC_BYTES and (more := stream.read(MAGIC_BYTES - len(head))):
        head += more
    chunks = _chunks(head, stream)
    if ZIP.match(head):
        chunks = _only_member(chunks)
    else:
        packing = next((packing for packing in PACKINGS if packing.magic.match(head)), None)
        chunks = _unpacked(chunks, packing) if packing else chunks
    return io.BufferedReader(_Content(chunks), CHUNK)


class _Content(io.RawIOBase):
    """A file object that reads from an iterator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _chunks(head: bytes, stream: BinaryIO) -> Iterator[bytes]:
    yield head
    while chunk := stream.read(CHUNK):
        yield chunk


def _unpacked(chunks: Iterator[bytes], packing: _Packing) -> Iterator[bytes]:
    """Unpacks member after member; zeros may stand between and after them (gzip and xz allow that)."""
    worker: _Worker | None = None
    begun = False
    for chunk in chunks:
        for start in range(0, len(chunk), packing.step):
            data = chunk[start : start + packing.step]
            while data:
                if worker is None:
                    data = data.lstrip(b"\0") if begun else data
                    if not data:
                        break
                    worker, begun = packing.worker(), True
                while True:
                    try:
                        unpacked = worker.decompress(data, *packing.limit)
                    except packing.errors as error:
                        raise ContentError(
                            f"the {packing.name} archive is broken ({_words(error)}):"
                            " have the file delivered again"
                        ) from error
                    yield unpacked
                    if not packing.limit or worker.eof or worker.needs_input:
                        break
                    data = b""  # it has kept what it has not unpacked yet
                data = worker.unused_data if worker.eof else b""
                worker = None if worker.eof else worker
    if worker is not None:
        raise ContentError(f"the {packing.name} archive is truncated: have the file delivered again")


def _only_member(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpacks a zip's only member; its directory stands at its end, so that it has to be kept first."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as kept:
        for chunk in chunks:
            kept.write(chunk)
        kept.seek(0)
        try:
            with zipfile.ZipFile(kept) as archive, _member(archive) as member:
                while chunk := member.read(CHUNK):
                    yield chunk
        except OSError as error:
            if error.errno is not None:  # the disk's, not the archive's
                raise
            raise _broken_zip(error) from error
        except (
            *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
            *(RuntimeError, ValueError, OverflowError, IndexError),  # encrypted, unknown method, wild offsets
        ) as error:
            raise _broken_zip(error) from error


def _member(archive: zipfile.ZipFile) -> IO[bytes]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise ContentError(f"the zip archive holds {len(members)} files: have it delivered with exactly one")
    return archive.open(members[0])


def _broken_zip(error: Exception) -> ContentError:
    return ContentError(f"the zip archive cannot be read ({_words(error)}): have the file delivered again")


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
