"""Sets, removes and lists clients' CPMs by effective date, and counts the days that a change re-prices."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

import psycopg

from loader.errors import MediaError
from loader.names import counted

LIMIT = Decimal(10) ** 6


@dataclass(frozen=True, slots=True)
class Repricing:
    """The effect of a rate change: the days with staged rows on which a different CPM is now in force."""

    changed: bool
    days: int = 0
    first: date | None = None
    last: date | None = None

    def __str__(self) -> str:
        if not self.changed:
            return "this CPM was already set: nothing is re-priced"
        if not self.days:
            return "the CPM is set; no day with rows is re-priced"
        span = f"{self.first}" if self.days == 1 else f"from {self.first} to {self.last}"
        return f"the next `media transform` re-prices {counted(self.days, 'day')} with rows: {span}"


@dataclass(frozen=True, slots=True)
class Cpm:
    """A client's CPM from the date `since`; None means from the beginning."""

    client: str
    cpm: Decimal
    since: date | None


def parsed_cpm(text: str) -> Decimal:
    """Parses a CPM: at least 0, below LIMIT, at most four decimals. Raises MediaError."""
    if not re.fullmatch(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)", text.strip()):
        raise MediaError(f"{text[:60]!r} is not a CPM: write a number such as 12.50")
    cpm = Decimal(text.strip())
    if cpm < 0 or cpm >= LIMIT or cpm != round(cpm, 4):
        raise MediaError(
            f"{text[:60]!r} is not a CPM: give a number from 0 to below {LIMIT}, with at most four decimals"
        )
    return cpm


def set_cpm(connection: psycopg.Connection, client: UUID, cpm: Decimal, since: date | None) -> Repricing:
    """Sets a client's CPM from the date `since`, or from the beginning (None); returns what it re-prices."""
    before = _in_force(connection, client, since)
    changed = connection.execute(
        """
        insert into media.client_settings as settings (client_id, cpm, effective_date) values (%s, %s, %s)
        on conflict on constraint client_settings_one_rate_a_date do update set cpm = excluded.cpm
        where settings.cpm <> excluded.cpm
        """,
        [client, cpm, since],
    )
    if not changed.rowcount:
        return Repricing(False)
    return Repricing(True) if before == cpm else _repriced(connection, client, since)


def remove_cpm(connection: psycopg.Connection, client: UUID, since: date | None) -> Repricing:
    """Removes the CPM set from `since`, or from the beginning (None). Raises MediaError if there is none."""
    before = _in_force(connection, client, since)
    removed = connection.execute(
        "delete from media.client_settings where client_id = %s and effective_date is not distinct from %s",
        [client, since],
    )
    if not removed.rowcount:
        start = f"from {since}" if since else "from the beginning (give --from for another date)"
        raise MediaError(f"this client has no CPM {start}: see `media cpm list`")
    if before == _in_force(connection, client, since):
        return Repricing(True)
    return _repriced(connection, client, since)


def list_cpms(connection: psycopg.Connection, client: UUID | None = None) -> list[Cpm]:
    """Returns the CPMs of one client, or of all, sorted by client and date."""
    found = connection.execute(
        """
        select clients.name, client_settings.cpm, client_settings.effective_date
        from media.client_settings
        inner join media.clients on clients.id = client_settings.client_id
        where %(client)s::uuid is null or clients.id = %(client)s
        order by lower(clients.name), client_settings.effective_date nulls first
        """,
        {"client": client},
    ).fetchall()
    return [Cpm(*row) for row in found]


def _in_force(connection: psycopg.Connection, client: UUID, day: date | None) -> Decimal | None:
    """Returns the CPM in force on a day, or at the beginning (None); None if there is none."""
    found = connection.execute(
        """
        select cpm from media_ops.cpm_periods
        where
            client_id = %(client)s
            and first_date <= coalesce(%(day)s::date, '-infinity')
            and coalesce(%(day)s::date, '-infinity') < next_date
        """,
        {"client": client, "day": day},
    ).fetchone()
    return found[0] if found else None


def _repriced(connection: psycopg.Connection, client: UUID, since: date | None) -> Repricing:
    """Counts the days with rows from a date up to the next CPM's effective date."""
    found = connection.execute(
        """
        select count(distinct run_days.date), min(run_days.date), max(run_days.date)
        from media_ops.run_days
        inner join media_ops.runs_that_count on runs_that_count.run_id = run_days.run_id
        where
            run_days.client_id = %(client)s
            and run_days.date >= coalesce(%(since)s::date, '-infinity')
            and run_days.date < coalesce((
                select min(cpm_periods.first_date)
                from media_ops.cpm_periods
                where
                    cpm_periods.client_id = %(client)s
                    and cpm_periods.first_date > coalesce(%(since)s::date, '-infinity')
            ), 'infinity')
        """,
        {"client": client, "since": since},
    ).fetchone()
    assert found is not None
    return Repricing(True, *found)
