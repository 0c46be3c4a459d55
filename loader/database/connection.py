"""A database, and connections to it in the role whose work is to be done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from loader.database import libpq
from loader.database.migrate import is_current
from loader.errors import MediaError

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


def connect(db: Database, role: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
    """Opens a connection in UTC, acting as `role` (a group role of ours) where one is named.

    Raises MediaError where the server cannot be reached, or where we may not act as that role.
    """
    connection = open_connection(db.description, db.env)
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


def open_connection(description: str, env: Mapping[str, str]) -> psycopg.Connection:
    """Opens a connection in UTC and autocommit, as the PG* variables of `env` say; MediaError if it fails."""
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
