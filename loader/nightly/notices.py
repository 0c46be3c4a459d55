"""Says which data drops out of the figures, or may count twice, because of what was delivered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from pathlib import Path

import psycopg

from loader.ingestion.ledger import update_run
from loader.ingestion.task import Result
from loader.names import day_ranges
from loader.nightly.models import model_query

SQL = Path(__file__).parent / "sql"
MODELS = ("int_days_staged", "int_runs_ordered", "int_runs_in_force", "int_days_covered")
CLIENTS_SHOWN = 5
COPY = ", not counted: same content as run "
"""In the message of a run that does not count because an equal one does."""
SENTENCES = {
    "dropped by a span": (
        "{run} has no rows of {days}, so those of {other} no longer count: if it does not cover every day"
        " from its first to its last, set covers: rows"
    ),
    "dropped by loading again": (
        "{run} was loaded again and now has no rows of {days}, so those that it had no longer count: if that"
        " is wrong, correct the feed in feeds.yml and load it again with --key"
    ),
    "dropped by a version": (
        "{run} has no rows of {days}, so those of {other} no longer count: if each version of this key is a"
        " delivery of its own, set same_key: adds"
    ),
    "dropped by a version and its span": (
        "{run} has no rows of {days}, so those of {other} no longer count: if each version of this key is a"
        " delivery of its own, set same_key: adds and covers: rows"
    ),
    "left out": (
        "{run} replaces days of {other} but has no rows of {days}, which stay as they were: if no rows means"
        " zero, set covers: span"
    ),
    "copy": (
        "{run} does not count ({days}), because {other} has the same content: if both are parts, give"
        " key_pattern a group (?P<part>…) that tells them apart"
    ),
    "sum": (
        "{run} has a row without names that contains the sum of other rows ({days}; impressions:"
        " {impressions:,}), so they may count twice: if it is a total, leave it out with"
        " skip: [{{column: TITLE, matches: '^$'}}], where TITLE is that of a name"
    ),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """What a run makes drop out of the figures, or count twice."""

    run: str
    other_run: str
    """The run whose rows are concerned; may be the same."""
    sentence: str


@dataclass(frozen=True, slots=True)
class _Found:
    kind: str
    run: str
    other_run: str
    uri: str
    other_uri: str
    modified: datetime
    other_modified: datetime
    client: str
    days: Sequence[date]
    impressions: int | None


def with_notices(
    connection: psycopg.Connection, results: Sequence[Result], given: Sequence[Notice] | None = None
) -> list[Result]:
    """Returns the results of a load with the notices about their runs; the ledger says which are copies.

    `given` are the notices, if they are known already.
    """
    _record_copies(connection)
    runs = {result.run for result in results if result.run}
    found: dict[str, list[str]] = defaultdict(list)
    for notice in notices(connection, runs) if given is None else given:
        found[notice.run if notice.run in runs else notice.other_run].append(notice.sentence)
    return [replace(result, notices=tuple(found.get(result.run or "", ()))) for result in results]


def _record_copies(connection: psycopg.Connection) -> None:
    """Says in the message of each run that it is a copy of another run and does not count, or no longer."""
    text = (SQL / "copies.sql").read_text(encoding="utf-8")
    query = text.format(int_runs_in_force=model_query("int_runs_in_force"))
    for run, message, copy_of in connection.execute(query.encode(), {"note": COPY}).fetchall():
        wanted = message.partition(COPY)[0] + (f"{COPY}{copy_of}" if copy_of else "")
        if message != wanted:
            update_run(connection, run, {"message": wanted})


def notices(connection: psycopg.Connection, runs: Collection[str] | None = None) -> list[Notice]:
    """Returns the notices about what the next build will change; with `runs`, only those about these runs."""
    if runs is not None and not runs:
        return []
    text = (SQL / "notices.sql").read_text(encoding="utf-8")
    query = text.format(**{name: model_query(name) for name in MODELS})
    wanted = None if runs is None else list(runs)
    rows = [_Found(*row) for row in connection.execute(query.encode(), {"runs": wanted}).fetchall()]
    groups = groupby(rows, lambda row: (row.kind, row.run, row.other_run))
    return [Notice(run, other, _sentence(list(found))) for (_, run, other), found in groups]


def _sentence(found: Sequence[_Found]) -> str:
    """Returns the sentence for the rows of one kind and one pair of runs."""
    first = found[0]
    clients = [f"{one.client} {day_ranges(one.days)}" for one in found[:CLIENTS_SHOWN]]
    left = len(found) - CLIENTS_SHOWN
    run, other = first.uri, first.other_uri
    if run == other and first.modified != first.other_modified:
        run, other = (f"{run} of {one:%Y-%m-%d %H:%M}" for one in (first.modified, first.other_modified))
    return SENTENCES[first.kind].format(
        run=run,
        other=other,
        days="; ".join(clients) + (f"; and {left:,} more clients" if left > 0 else ""),
        impressions=sum(one.impressions or 0 for one in found),
    )
