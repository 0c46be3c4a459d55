"""Paths of the project's own files: everything that is not Python is read from the checkout."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from loader.errors import MediaError

CHECKOUT = Path(__file__).resolve().parents[1]
MEDIA = CHECKOUT / ".media"
"""The embedded servers' files; ignored by Git."""


def require_directory(variable: str, directory: Path) -> None:
    """Creates a directory if it is missing. Raises MediaError if we cannot write there.

    The message names the environment variable that names the directory.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise MediaError(
            f"cannot write to {directory} ({error.strerror}): set {variable} to a directory of your own"
        ) from error


def feeds_file() -> Path:
    """Returns the path of feeds.yml: MEDIA_FEEDS if set, otherwise the one in the checkout."""
    return Path(os.environ.get("MEDIA_FEEDS") or CHECKOUT / "feeds.yml")
