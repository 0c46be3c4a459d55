"""An object to load, and the result of loading it."""

from __future__ import annotations

from dataclasses import dataclass

from loader.files.feeds import Feed
from loader.files.keys import KeyMatch
from loader.ingestion.ledger import LatestRun, Place
from loader.ingestion.s3 import S3Object


@dataclass(frozen=True, slots=True)
class Task:
    """An object to load."""

    feed: Feed
    obj: S3Object
    match: KeyMatch
    by_key: bool
    """Requested with --key: loads the object even if its content is the same, or was retracted."""
    retry: bool
    """A run of it waits for --retry: loads the object even if its content is the same."""
    previous: LatestRun | None
    """The latest run of its key (or version) when the task was planned."""
    places: tuple[Place, ...]
    """Its bucket and key, and those that it had in the feed's previous locations."""

    @property
    def adds(self) -> bool:
        """Whether each version of the object is a delivery of its own."""
        return self.feed.same_key == "adds"

    def is_done(self, latest: LatestRun) -> bool:
        """Returns whether another loader has loaded the object since the task was planned.

        `latest` is the latest run of the key now; it can be the previous one, if that was still in progress.
        """
        if not latest.knows(self.obj):
            return False
        before = (self.previous.run, self.previous.failure) if self.previous else None
        return not (self.by_key or self.retry) or (latest.run, latest.failure) != before


@dataclass(frozen=True, slots=True)
class Result:
    """The result of loading an object, or the failure to list a feed."""

    feed: str
    uri: str
    status: str
    """loaded, same (content), skipped (another loader has loaded it), failed, or planned (dry run)."""
    message: str
    run: str | None = None
    loaded: int = 0
    rejected: int = 0
    failure: str | None = None
    notices: tuple[str, ...] = ()
    """What it makes drop out of the figures, or count twice: one sentence each."""
