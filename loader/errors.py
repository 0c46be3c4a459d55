"""The errors that a user is meant to read: each is one sentence that says what to do."""

from __future__ import annotations


class MediaError(Exception):
    """Base of every error that ends a command with its message and exit code 1."""


class FeedsError(MediaError):
    """feeds.yml cannot be used: names the file, the feed and the field."""


class ContentError(MediaError):
    """An object as a whole cannot be loaded because of what it contains."""


def one_sentence(error: Exception) -> str:
    """Returns what an error says, on one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError):
        return f"the loader's machine failed ({text}): give it room in TMPDIR, then load again"
    return text if isinstance(error, MediaError) else f"PostgreSQL: {text}"
