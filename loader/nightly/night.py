"""What a night needs of the database, and what it says of itself in the morning."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from loader.database.connection import Database, connect, require_tables
from loader.errors import MediaError
from loader.ingestion.ingest import Result
from loader.nightly.transform import NodeResult

LOCK = 0x6D65646961  # "media"; the loader's locks on objects are pairs, which never meet a single number
LIST = "int_days_to_rebuild"
NAMED = 20
"""So many failures stand in the message; the artifacts have all."""


class NightError(MediaError):
    """The night failed: a sentence for each file and node that did, all of them in one message."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(message(sentences))
        self.sentences = sentences


@contextmanager
def only_night(db: Database) -> Iterator[None]:
    """Lets one night at a time work on a database; NightError, at once, for the second.

    The lock has a connection of its own: it ends with the process, however that ends.
    """
    with closing(connect(db, "media_loader", autocommit=True)) as connection:
        require_tables(connection)
        found = connection.execute("select pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if not (found and found[0]):
            raise NightError("another night is still at work on this database: this one did nothing")
        yield


def days_recomputed(db: Database, nodes: Sequence[NodeResult]) -> int:
    """Returns for how many days of a client this build was to compute the marts anew."""
    if all((node.name, node.status) != (LIST, "success") for node in nodes):
        return 0  # the list there is another build's
    with closing(connect(db, "media_transformer", autocommit=True)) as connection:
        found = connection.execute("select count(*) from media_models.int_days_to_rebuild").fetchone()
    return int(found[0]) if found else 0


def failures(results: Sequence[Result], nodes: Sequence[NodeResult]) -> list[str]:
    """Returns one sentence for each file and each node that failed."""
    files = [f"{one.uri}: {one.message}" for one in results if one.status == "failed"]
    return files + [str(node) for node in nodes if node.failed]


def message(sentences: Sequence[str]) -> str:
    """Returns the failure message of a night."""
    left = len(sentences) - NAMED
    return "; ".join(sentences[:NAMED]) + (f"; and {left} more: see `media status`" if left > 0 else "")


def markdown(results: Sequence[Result], nodes: Sequence[NodeResult], days: int, wrong: Sequence[str]) -> str:
    """Returns the night on one page."""
    arrived = [one for one in results if one.status == "loaded"]
    rejecting = [one for one in results if one.rejected]
    sections = {
        "Failed": [_inert(sentence) for sentence in wrong],
        "Arrived": [f"{_inert(one.uri)} ({_inert(one.feed)}): {one.loaded} rows" for one in arrived],
        "Rejected": [f"{_inert(one.uri)}: {one.rejected} rows" for one in rejecting],
        "Recomputed": [f"{days} days of a client"] if days else [],
        "Warned of": [_inert(str(node)) for node in nodes if node.status == "warn"],
        "dbt": [f"{len(nodes)} nodes, {sum(node.failed for node in nodes)} failed"] if nodes else [],
    }
    parts = [
        f"## {name}\n\n" + "\n".join(f"* {line}" for line in lines or ["nothing"])
        for name, lines in sections.items()
    ]
    return "\n\n".join(parts) + "\n"


def _inert(text: str) -> str:
    """Returns a stranger's text so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]~|])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
