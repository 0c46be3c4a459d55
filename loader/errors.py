"""The errors that a user is meant to read: each is one sentence that says what to do."""


class MediaError(Exception):
    """Base of every error that ends a command with its message and exit code 1."""


class FeedsError(MediaError):
    """feeds.yml cannot be used: names the file, the feed and the field."""


class ContentError(MediaError):
    """An object as a whole cannot be loaded because of what it contains."""


def shown(text: str, limit: int = 60) -> str:
    """Quotes a stranger's text for a sentence: cut, on one line, nothing in it that PostgreSQL refuses."""
    return repr(text) if len(text) <= limit else f"{text[:limit]!r}…"
