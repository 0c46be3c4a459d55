"""Paths of the project's own files: everything that is not Python is read from the checkout."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
MEDIA = CHECKOUT / ".media"
"""The embedded servers' files; ignored by Git."""


def feeds_file() -> Path:
    """Returns the path of feeds.yml: MEDIA_FEEDS if set, otherwise the one in the checkout."""
    return Path(os.environ.get("MEDIA_FEEDS") or CHECKOUT / "feeds.yml")
