"""The errors that are shown to users: each message is one sentence that says what to do."""

from __future__ import annotations

from errno import EDQUOT, ENOENT, ENOSPC

NO_SPACE = (ENOSPC, EDQUOT, ENOENT)  # without a usable directory, tempfile raises ENOENT


class MediaError(Exception):
    """Base class of the errors that end a command with their message and exit code 1."""


class FeedsError(MediaError):
    """feeds.yml is invalid; the message names the file, the feed and the field."""


class ContentError(MediaError):
    """An object cannot be loaded because of its content."""


def one_sentence(error: Exception) -> str:
    """Returns an error's message on one line; names PostgreSQL or the machine if the error is theirs."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError):
        remedy = "free space in TMPDIR, then load again" if error.errno in NO_SPACE else "load again"
        return f"the machine that runs the loader failed ({text}): {remedy}"
    return text if isinstance(error, MediaError) else f"PostgreSQL: {text}"
