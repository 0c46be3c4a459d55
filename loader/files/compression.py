"""Decompresses a stream, in bounded memory; its first bytes determine the compression.

A damaged archive raises ContentError. Errors of the source's `read` are passed on unchanged, so that a broken
connection is never mistaken for a broken file.
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
MAX_WINDOW_BYTES = 1 << 27  # the largest dictionary or window accepted: enough for xz -9 and zstd --ultra
ZIP_DIRECTORY_BYTES = 1 << 20  # about ten thousand files, for which zipfile takes some 10 MB
ZIP_END_BYTES = (1 << 16) + 200  # a comment of up to 64 KB, and the records at the end of a zip
ZIP_BYTES_IN_MEMORY = 1 << 23  # a larger zip is written to a temporary file


class _Decompressor(Protocol):
    """The interface of zlib, bz2, lzma and zstandard; only bz2 and lzma have `needs_input` and `limit`."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, limit: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class _Compression:
    """A compression; `step` input bytes decompress to 30 MB at most, or to at most `limit` bytes per call."""

    name: str
    magic: re.Pattern[bytes]
    step: int
    new_decompressor: Callable[[], Any]
    errors: tuple[type[Exception], ...]
    limit: tuple[int, ...] = ()


COMPRESSIONS = (
    _Compression(
        "gzip", re.compile(rb"\x1f\x8b\x08"), 1 << 14, lambda: zlib.decompressobj(31), (zlib.error,)
    ),
    _Compression(
        "bzip2",  # a CSV header could start with the first three bytes alone
        re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
        1 << 10,
        bz2.BZ2Decompressor,
        (OSError, ValueError, EOFError),
        (1 << 22,),  # a block of about 40 bytes can hold 45 MB
    ),
    _Compression(
        "xz",
        re.compile(rb"\xfd7zXZ\x00"),
        1 << 10,
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_WINDOW_BYTES),
        (lzma.LZMAError, EOFError),
        (1 << 22,),
    ),
    _Compression(
        "zstd",
        re.compile(rb"\x28\xb5\x2f\xfd"),
        1 << 10,
        lambda: zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj(),
        (zstandard.ZstdError,),
    ),
)
ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")  # the second is a zip without members
MAGIC_BYTES = 10


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Returns the content of a stream that is plain, gzip, bzip2, xz, zstd, or a zip with one member.

    The result's `read` raises ContentError if the archive is broken, truncated, or a zip without exactly one
    member. Closing the result leaves `stream` open.
    """
    head = b""
    while len(head) < MAGIC_BYTES and (more := stream.read(MAGIC_BYTES - len(head))):
        head += more
    chunks = _chunks(head, stream)
    if ZIP.match(head):
        chunks = _only_member(chunks)
    else:
        compression = next((one for one in COMPRESSIONS if one.magic.match(head)), None)
        chunks = _decompress(chunks, compression) if compression else chunks
    return io.BufferedReader(_ChunkReader(chunks), CHUNK)


class _ChunkReader(io.RawIOBase):
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


def _decompress(chunks: Iterator[bytes], compression: _Compression) -> Iterator[bytes]:
    """Decompresses all members; gzip and xz allow padding with zeros between and after them."""
    decompressor: _Decompressor | None = None
    started = False
    for chunk in chunks:
        for start in range(0, len(chunk), compression.step):
            data = chunk[start : start + compression.step]
            while data:
                if decompressor is None:
                    data = data.lstrip(b"\0") if started else data
                    if not data:
                        break
                    decompressor, started = compression.new_decompressor(), True
                while True:
                    try:
                        unpacked = decompressor.decompress(data, *compression.limit)
                    except compression.errors as error:
                        raise ContentError(
                            f"the {compression.name} archive is broken ({_reason(error)}):"
                            " have the file delivered again"
                        ) from error
                    yield unpacked
                    if not compression.limit or decompressor.eof or decompressor.needs_input:
                        break
                    data = b""  # it buffers the input that it has not decompressed yet
                data = decompressor.unused_data if decompressor.eof else b""
                decompressor = None if decompressor.eof else decompressor
    if decompressor is not None:
        raise ContentError(f"the {compression.name} archive is truncated: have the file delivered again")


def _only_member(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompresses a zip's only member; needs the whole zip first, because its directory is at the end."""
    with tempfile.SpooledTemporaryFile(max_size=ZIP_BYTES_IN_MEMORY) as spool:
        for chunk in chunks:
            spool.write(chunk)
        _check_directory(spool)
        try:
            with zipfile.ZipFile(spool) as archive, _member(archive) as member:
                while chunk := member.read(CHUNK):
                    yield chunk
        except OSError as error:
            if error.errno is not None:  # an error of the disk, not of the archive
                raise
            raise _broken_zip(error) from error
        except (
            *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
            *(RuntimeError, ValueError, OverflowError, IndexError),  # encrypted, unknown method, bad offsets
        ) as error:
            raise _broken_zip(error) from error


def _check_directory(spool: IO[bytes]) -> None:
    """Raises ContentError if the zip lists so much that its directory alone would take a lot of memory."""
    size = spool.seek(0, io.SEEK_END)
    spool.seek(max(0, size - ZIP_END_BYTES))
    tail = spool.read()
    spool.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    directory = tail[
        end + 12 : end + 16
    ]  # its length in bytes; in zip64 all ones, and the length is elsewhere
    if directory == b"\xff\xff\xff\xff":
        end = tail.rfind(b"PK\x06\x06")
        directory = tail[end + 40 : end + 48]
    if end >= 0 and int.from_bytes(directory, "little") > ZIP_DIRECTORY_BYTES:
        raise ContentError("the zip archive lists thousands of files: have it delivered with exactly one")


def _member(archive: zipfile.ZipFile) -> IO[bytes]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise ContentError(f"the zip archive has {len(members)} files: have it delivered with exactly one")
    if members[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # the library decompresses the others without a limit of memory
        raise ContentError(
            "the file in the zip archive is not compressed with deflate: have it delivered as an ordinary zip"
        )
    return archive.open(members[0])


def _broken_zip(error: Exception) -> ContentError:
    return ContentError(f"the zip archive cannot be read ({_reason(error)}): have the file delivered again")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
