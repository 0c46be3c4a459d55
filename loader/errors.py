"""The errors that are shown to users: each message is one sentence that says what to do."""

from __future__ import annotations

from errno import EACCES, EDQUOT, ENOENT, ENOSPC, EPERM, EROFS

import psycopg

NO_SPACE = (ENOSPC, EDQUOT, ENOENT)  # without a usable directory, tempfile raises ENOENT
NOT_ALLOWED = (EACCES, EPERM, EROFS)
READ_ONLY = (
    "the server is read-only (a standby, or default_transaction_read_only is on):"
    " connect to the primary server, or turn the setting off"
)


class MediaError(Exception):
    """Base class of the errors that end a command with their message and exit code 1."""


class FeedsError(MediaError):
    """feeds.yml is invalid; the message names the file, the feed and the field."""


class ContentError(MediaError):
    """An object cannot be loaded because of its content."""


def one_sentence(error: Exception) -> str:
    """Returns an error's message on one line; names PostgreSQL or the machine if the error is theirs."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return READ_ONLY
    if isinstance(error, OSError):
        remedy = "run this again"
        if error.errno in NO_SPACE:
            remedy = "free space in TMPDIR, or set it to another directory, then run this again"
        elif error.errno in NOT_ALLOWED:
            remedy = "give the user who runs this command access to it"
        return f"the machine that runs the loader failed ({text}): {remedy}"
    return text if isinstance(error, MediaError) else f"PostgreSQL: {text}"
