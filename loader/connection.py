"""Which database a command works on, and connections to it.

libpq's PG* variables alone decide: if one of those that say where and as whom to connect is set, they count
as in psql; if none is, the embedded PostgreSQL of the checkout serves.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from loader import libpq
from loader.embedded import CHECKOUT, MEDIA, Embedded
from loader.errors import MediaError
from loader.migrate import is_current

CONNECT_TIMEOUT_SECONDS = "15"


@dataclass(frozen=True, slots=True)
class Database:
    """A database to connect to."""

    description: str
    """One line that says which, without secrets: every command prints it."""
    env: Mapping[str, str]
    """The PG* variables that name it, for connect() here and for dbt and psql in other processes."""

    def environ(self) -> dict[str, str]:
        """Returns the environment for a subprocess: ours, naming this database and no other."""
        return libpq.without(os.environ) | dict(self.env)


@contextmanager
def database(directory: Path | None = None) -> Iterator[Database]:
    """Yields the database that the environment names; with `directory`, the embedded one in that directory.

    Within the block os.environ names it too, for dbt in this process. MediaError where it does not answer.
    """
    named = libpq.named()
    if named and directory is None:
        yield _named(named)
        return
    embedded = Embedded(directory or MEDIA)
    with libpq.replaced({}), embedded.lease() as server:
        with server.connect("media") as connection:
            version = connection.info.parameter_status("server_version")
        inside = embedded.directory.absolute().is_relative_to(CHECKOUT)
        place = f"{embedded.directory.absolute().relative_to(CHECKOUT)}/" if inside else embedded.directory
        with libpq.replaced(server.environment()):
            yield Database(f"embedded PostgreSQL {version} in {place}", server.environment())


def connect(db: Database, role: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
    """Opens a connection in UTC, acting as `role` (a group role of ours) where one is named.

    Raises MediaError where the server cannot be reached, or where we may not act as that role.
    """
    connection = _open(db.description, db.env)
    if role is not None:
        try:
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        except psycopg.errors.InvalidParameterValue as error:
            connection.close()
            raise MediaError(f"{db.description} has no role {role}: run `media migrate`") from error
        except psycopg.errors.InsufficientPrivilege as error:
            login = connection.info.user
            connection.close()
            raise MediaError(
                f"{db.description} may not act as {role}: run `grant {role} to {login}` there"
            ) from error
    connection.autocommit = autocommit
    return connection


def require_tables(connection: psycopg.Connection) -> None:
    """Raises MediaError unless the database has our tables in the form that this version works with."""
    name = connection.info.dbname
    try:
        current = is_current(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise MediaError(
            f"{user} may not use our tables in {name}: connect as a member of media_loader"
        ) from error
    if not current:
        raise MediaError(
            f"the database {name} lacks our tables, or has an older form of them: run `media migrate`"
        )


def _named(named: Mapping[str, str]) -> Database:
    """Returns the database of the environment, spelled out.

    libpq completes it from a service file, .pgpass and its own defaults, which dbt does not read.
    """
    with _open("PostgreSQL", named) as connection:
        info = connection.info
        used = info.get_parameters() | {"password": info.password}
        used |= {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    env = {name: used[keyword] for name, keyword in libpq.KEYWORDS.items() if used.get(keyword)} | dict(named)
    return Database(f"PostgreSQL at {used['host']}:{used['port']}/{used['dbname']} as {used['user']}", env)


def _open(description: str, env: Mapping[str, str]) -> psycopg.Connection:
    named = make_conninfo(
        **{libpq.KEYWORDS[name]: value for name, value in env.items() if libpq.KEYWORDS[name]}
    )
    patience = os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_TIMEOUT_SECONDS
    try:
        connection = psycopg.connect(
            named, application_name="media", connect_timeout=patience, autocommit=True
        )
        connection.execute("set time zone 'UTC'")
    except psycopg.Error as error:
        reason = " ".join(str(error).split()).removeprefix("connection failed: ")
        raise MediaError(f"cannot connect to {description}: {reason}") from error
    return connection
