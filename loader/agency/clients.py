"""Adds, lists, imports, enables and disables clients (media.clients)."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

import psycopg

from loader.agency.cpms import parsed_cpm, set_cpm
from loader.errors import MediaError
from loader.names import NAME_LENGTH, client_key, normalised

COLUMNS = ("name", "cpm", "effective_date")


@dataclass(frozen=True, slots=True)
class Client:
    """A client, with the CPM in force today (None if there is none)."""

    id: str
    name: str
    status: str
    cpm: str | None


def known_clients(connection: psycopg.Connection) -> dict[str, str]:
    """Returns the ids of all clients, keyed by client_key() of both name and id; ids take precedence.

    If two names differ only in case (Straße, STRASSE), neither is a key: a guess could bill the wrong client.
    """
    found = connection.execute("select id::text, name from media.clients").fetchall()
    shared = Counter(client_key(name) for _, name in found)
    names = {client_key(name): who for who, name in found if shared[client_key(name)] == 1}
    return names | {client_key(who): who for who, _ in found}


def add_client(connection: psycopg.Connection, name: str) -> UUID:
    """Adds a client and returns its id. Raises MediaError if the name is invalid or taken, ignoring case."""
    name = normalised(name)
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise MediaError(
            f"{name[:60]!r} is not a valid client name: give 1 to {NAME_LENGTH} printable characters"
        )
    if client_key(name) in known_clients(connection):
        raise MediaError(f"client {name} already exists")
    try:
        found = connection.execute(
            "insert into media.clients (name) values (%s) returning id", [name]
        ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        raise MediaError(f"client {name} already exists") from error
    assert found is not None
    client_id: UUID = found[0]
    return client_id


def find_client(connection: psycopg.Connection, text: str) -> UUID:
    """Returns the id of the client with this name or id, ignoring case. Raises MediaError if unknown."""
    found = known_clients(connection).get(client_key(text))
    if found is None:
        raise MediaError(
            f"there is no client {text}: see `media clients list`, or add it with `media clients add`"
        )
    return UUID(found)


def list_clients(connection: psycopg.Connection) -> list[Client]:
    """Returns all clients, sorted by name."""
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
    """Sets a client's status, "active" or "disabled" (its users see no rows); returns whether it changed."""
    client_id = find_client(connection, text)
    changed = connection.execute(
        "update media.clients set status = %s where id = %s and status <> %s", [status, client_id, status]
    )
    return changed.rowcount > 0


def import_clients(connection: psycopg.Connection, file: Path) -> tuple[int, int]:
    """Adds the clients and CPMs of a CSV file with the columns name, cpm, effective_date: all or none.

    Returns the number of clients added and of CPMs set. Raises MediaError, which names the line.
    """
    added = cpms = 0
    with connection.transaction():
        for line, name, cpm, since in _lines(file):
            try:
                if client_key(name) not in known_clients(connection):
                    add_client(connection, name)
                    added += 1
                if cpm:
                    start = _date(since) if since else None
                    change = set_cpm(connection, find_client(connection, name), parsed_cpm(cpm), start)
                    cpms += change.changed
            except MediaError as error:
                raise MediaError(f"{file}, line {line}: {error}") from error
    return added, cpms


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise MediaError(f"{text[:60]!r} is not a date: write it as 2025-01-31") from error


def _lines(file: Path) -> list[tuple[int, str, str, str]]:
    """Returns line number, name, cpm and effective_date of each row."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            found = []
            for row in rows:
                if None in row:  # for example the 50 of an unquoted 12,50
                    raise MediaError(
                        f"{file}, line {rows.line_num}: the row has more fields than the header:"
                        " write a CPM as 12.50, and put a name with a comma in quotes"
                    )
                name, cpm, since = ((row.get(column) or "").strip() for column in COLUMNS)
                found.append((rows.line_num, name, cpm, since))
            names = tuple(rows.fieldnames or ())
    except OSError as error:
        raise MediaError(f"{file} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MediaError(f"{file} is not a CSV file in UTF-8: {error}") from error
    if "name" not in names or not set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        raise MediaError(
            f"{file} must have the header name,cpm,effective_date, but it has {','.join(names)[:60]!r}"
        )
    return found
