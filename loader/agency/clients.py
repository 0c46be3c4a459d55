"""The client companies: added, listed, enabled and disabled by those who may write media.clients."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import psycopg

from loader.agency.rates import parsed_cpm, set_rate
from loader.errors import MediaError
from loader.names import client_key, normalised

NAME_LIMIT = 255
COLUMNS = ("name", "cpm", "effective_date")


@dataclass(frozen=True, slots=True)
class Client:
    """One client company, and the CPM in force today."""

    id: str
    name: str
    status: str
    cpm: str | None


def known_clients(connection: psycopg.Connection) -> dict[str, str]:
    """Returns the ids of all clients by client_key of name and id; an id goes before a name.

    A name that two clients share once case is folded (Straße, STRASSE) names neither: a guess could bill the
    wrong one.
    """
    found = connection.execute("select id::text, name from media.clients").fetchall()
    shared = Counter(client_key(name) for _, name in found)
    names = {client_key(name): who for who, name in found if shared[client_key(name)] == 1}
    return names | {client_key(who): who for who, _ in found}


def add_client(connection: psycopg.Connection, name: str) -> UUID:
    """Adds a client; returns its id. MediaError where the name will not do or is taken, in whatever case."""
    name = normalised(name)
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise MediaError(
            f"{name[:60]!r} is no name for a client: give 1 to {NAME_LIMIT} printable characters"
        )
    if client_key(name) in known_clients(connection):
        raise MediaError(f"there is a client {name} already")
    try:
        found = connection.execute(
            "insert into media.clients (name) values (%s) returning id", [name]
        ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise MediaError(f"there is a client {name} already") from error
    assert found is not None
    identity: UUID = found[0]
    return identity


def find_client(connection: psycopg.Connection, text: str) -> UUID:
    """Returns the id of the client of this name or id, in any case; MediaError if there is none."""
    found = known_clients(connection).get(client_key(text))
    if found is None:
        raise MediaError(f"there is no client {text}: see `media clients list`, or add it")
    return UUID(found)


def list_clients(connection: psycopg.Connection) -> list[Client]:
    """Returns all clients by name."""
    found = connection.execute(
        """
        select clients.id::text, clients.name, clients.status, cpm_periods.cpm::text
        from media.clients
        left join media_ops.cpm_periods
            on
                cpm_periods.client_id = clients.id
                and cpm_periods.first_date <= (now() at time zone 'utc')::date
                and (now() at time zone 'utc')::date < cpm_periods.next_date
        order by lower(clients.name)
        """
    ).fetchall()
    return [Client(*row) for row in found]


def set_status(connection: psycopg.Connection, text: str, status: str) -> bool:
    """Makes a client active or disabled (its people then see nothing); returns whether it was not yet."""
    identity = find_client(connection, text)
    changed = connection.execute(
        "update media.clients set status = %s where id = %s and status <> %s", [status, identity, status]
    )
    return changed.rowcount > 0


def import_clients(connection: psycopg.Connection, file: Path) -> tuple[int, int]:
    """Adds the clients and CPMs of a CSV with the columns name, cpm, effective_date: all of them or none.

    Returns how many clients were added and CPMs set. MediaError names the line at fault.
    """
    added = priced = 0
    with connection.transaction():
        for line, name, cpm, since in _lines(file):
            try:
                if client_key(name) not in known_clients(connection):
                    add_client(connection, name)
                    added += 1
                if cpm:
                    start = _date(since) if since else None
                    change = set_rate(connection, find_client(connection, name), parsed_cpm(cpm), start)
                    priced += change.changed
            except MediaError as error:
                raise MediaError(f"{file}, line {line}: {error}") from error
    return added, priced


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MediaError(f"{text[:60]!r} is no date: write it as 2025-01-31") from error


def _lines(file: Path) -> list[tuple[int, str, str, str]]:
    """Returns line number, name, cpm and effective_date of every row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            found = []
            for row in rows:
                if None in row:  # the 50 of 12,50
                    raise MediaError(
                        f"{file}, line {rows.line_num}: there are more fields than in the header:"
                        " write a CPM as 12.50, and a name with a comma in quotes"
                    )
                name, cpm, since = ((row.get(column) or "").strip() for column in COLUMNS)
                found.append((rows.line_num, name, cpm, since))
            names = tuple(rows.fieldnames or ())
    except OSError as error:
        raise MediaError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MediaError(f"{file} is no CSV in UTF-8: {error}") from error
    if "name" not in names or not set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        raise MediaError(
            f"{file} must have the header name,cpm,effective_date: it has {','.join(names)[:60]!r}"
        )
    return found
