"""Bytes to blocks of physical lines of text, with the number of the line that cannot be decoded."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from loader.errors import ContentError

CHUNK = 1 << 16  # what it makes fits a socket: the server then works while the next one is read
LONGEST = 1_000_000  # characters of a line, and of a record: more is a lost quote or no such file at all


def blocks(stream: BinaryIO, encoding: str) -> Iterator[list[str]]:
    """Yields the lines of a stream with their ends (LF, CR LF or CR), less a byte order mark, many at a time.

    Raises ContentError: no bytes, unknown encoding, undecodable bytes, an endless line.
    """
    decoder = _decoder(encoding)
    done = 0
    carry = ""
    chunk = stream.read(CHUNK)
    if not chunk:
        raise ContentError("the file is empty, without even a header: have it delivered again")
    begun = False
    while True:
        text = _decoded(decoder, chunk, encoding, done, carry)
        if text and not begun:
            begun, text = True, text.removeprefix("\ufeff")
        found = _split(carry + text)
        if not chunk:
            yield found
            return
        # The last line waits for the next chunk: more of it may come, or the LF of its CR.
        carry = found.pop() if found else ""
        done += len(found)
        yield found
        if len(carry) > LONGEST:
            raise ContentError(
                f"line {done + 1} has more than {LONGEST:,} characters:"
                " have the file delivered as lines of text"
            )
        chunk = stream.read(CHUNK)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        b"\0\0\0\0".decode(encoding)  # refuses the codecs that are no text encodings, such as hex
    except UnicodeError:
        pass
    except (LookupError, ValueError) as error:
        raise ContentError(
            f"the encoding {encoding!r} is unknown: correct format.encoding in feeds.yml"
        ) from error
    try:
        return codecs.getincrementaldecoder(encoding)()
    except LookupError as error:
        raise ContentError(
            f"the encoding {encoding!r} cannot be streamed: correct format.encoding in feeds.yml"
        ) from error


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, encoding: str, done: int, carry: str) -> str:
    state = decoder.getstate()
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeError as error:
        decoder.setstate(state)
        line = done + max(1, len(_split(carry + _readable(decoder, chunk) + "?")))
        raise ContentError(
            f"line {line} is not {encoding}: correct format.encoding in feeds.yml,"
            " or have the file delivered again"
        ) from error


def _readable(decoder: codecs.IncrementalDecoder, chunk: bytes) -> str:
    """Decodes what stands before the first undecodable byte."""
    parts: list[str] = []
    try:
        for position in range(len(chunk)):
            parts.append(decoder.decode(chunk[position : position + 1]))
    except UnicodeError:
        pass
    return "".join(parts)


def _split(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()
