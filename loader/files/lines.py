"""Decodes a stream of bytes into blocks of lines; errors name the line."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from loader.errors import ContentError

CHUNK = 1 << 16  # its rows fit a socket buffer, so that the server works while we read the next chunk
MAX_CHARACTERS = 1_000_000  # of a line or record: more means an unclosed quote, or a file that is not text


def blocks(stream: BinaryIO, encoding: str) -> Iterator[list[str]]:
    """Yields blocks of lines with their line ends (LF, CR LF or CR), without a byte order mark.

    Raises ContentError if the stream is empty, the encoding is unknown, bytes cannot be decoded, or a line is
    longer than MAX_CHARACTERS.
    """
    decoder = _decoder(encoding)
    lines_before = 0
    rest = ""
    chunk = stream.read(CHUNK)
    if not chunk:
        raise ContentError("the file is empty: have it delivered again")
    started = False
    while True:
        text = _decoded(decoder, chunk, encoding, lines_before, rest)
        if text and not started:
            started, text = True, text.removeprefix("\ufeff")
        found = _split(rest + text)
        if not chunk:
            yield found
            return
        # Keep the last line for the next chunk, which may continue it or complete its CR LF.
        rest = found.pop() if found else ""
        lines_before += len(found)
        yield found
        if len(rest) > MAX_CHARACTERS:
            raise ContentError(
                f"line {lines_before + 1} has more than {MAX_CHARACTERS:,} characters:"
                " have the file delivered with line breaks"
            )
        chunk = stream.read(CHUNK)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        b"\0\0\0\0".decode(encoding)  # refuses codecs that are not text encodings, such as hex
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
            f"the encoding {encoding!r} is not supported: correct format.encoding in feeds.yml"
        ) from error


def _decoded(
    decoder: codecs.IncrementalDecoder, chunk: bytes, encoding: str, lines_before: int, rest: str
) -> str:
    state = decoder.getstate()
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeError as error:
        decoder.setstate(state)
        line = lines_before + max(1, len(_split(rest + _readable(decoder, chunk) + "?")))
        raise ContentError(
            f"line {line} is not valid {encoding}: correct format.encoding in feeds.yml,"
            " or have the file delivered again"
        ) from error


def _readable(decoder: codecs.IncrementalDecoder, chunk: bytes) -> str:
    """Decodes the part of the chunk before the first undecodable byte."""
    parts: list[str] = []
    try:
        for position in range(len(chunk)):
            parts.append(decoder.decode(chunk[position : position + 1]))
    except UnicodeError:
        pass
    return "".join(parts)


def _split(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()
