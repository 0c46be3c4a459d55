"""Describes a database and opens connections to it, in the role that the work needs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from weakref import WeakSet

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from loader.database import libpq
from loader.database.migrate import is_current
from loader.errors import MediaError

# When a connection is lost, psycopg warns of errors that it ignores because another one is raised.
logging.getLogger("psycopg").setLevel(logging.ERROR)

CONNECT_TIMEOUT_SECONDS = "15"
SESSION_SETTINGS = """
select set_config('timezone', 'UTC', false)
union all
select set_config('default_transaction_isolation', 'read committed', false)
union all
select set_config('lock_timeout', '1h', false) where current_setting('lock_timeout') = '0'
union all
select set_config(name, '0', false)
from pg_settings
where name in ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
"""
"""A transaction that holds a lock has to see what another connection writes meanwhile, and stays open while
it waits for S3 or dbt. No wait for a lock is endless."""
OPENED: WeakSet[psycopg.Connection] = WeakSet()
"""The connections that this process has opened, for waits.py."""
CHECK_INTERVAL = "client_connection_check_interval"
CHECK_INTERVAL_VALUE = "2s"
"""How often PostgreSQL checks, during a statement, that our process still exists; its default is never."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database to connect to."""

    description: str
    """One line without secrets that says which database this is; every command prints it."""
    env: Mapping[str, str]
    """The PG* variables that name the database, for connect(), dbt and psql."""

    def environ(self) -> dict[str, str]:
        """Returns the environment for a subprocess: ours, with PG* variables that name this database."""
        return libpq.stripped(os.environ) | dict(self.env)


def connect(db: Database, role: str | None = None, *, autocommit: bool = False) -> psycopg.Connection:
    """Opens a connection with time zone UTC, and sets the role to `role` if one is given.

    Raises MediaError if the server cannot be reached, the role is missing, or we may not use it.
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
                f"{login} may not act as {role} on {db.description}: run `grant {role} to {login}` there"
            ) from error
    connection.autocommit = autocommit
    return connection


def require_tables(connection: psycopg.Connection) -> None:
    """Raises MediaError unless the database has our tables, migrated to this version or a later one."""
    name = connection.info.dbname
    try:
        current = is_current(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        user = connection.info.user
        raise MediaError(
            f"{user} may not use the media tables in {name}: connect as a member of media_loader"
        ) from error
    if not current:
        raise MediaError(
            f"the database {name} has no media tables, or those of an older version: run `media migrate`"
        )


def open_connection(description: str, env: Mapping[str, str]) -> psycopg.Connection:
    """Opens a connection as `env` (PG* variables) says, in UTC, UTF-8 and autocommit. Raises MediaError."""
    conninfo = make_conninfo(
        **{libpq.KEYWORDS[name]: value for name, value in env.items() if libpq.KEYWORDS[name]}
    )
    timeout = os.environ.get("PGCONNECT_TIMEOUT") or CONNECT_TIMEOUT_SECONDS
    try:
        connection = psycopg.connect(
            conninfo,
            application_name="media",
            client_encoding="UTF8",  # overrides PGCLIENTENCODING, and the role's and the database's setting
            connect_timeout=timeout,
            autocommit=True,
        )
        _refuse_shared_sessions(connection, conninfo)
        connection.execute(SESSION_SETTINGS)
        with suppress(psycopg.errors.InvalidParameterValue):  # a server on Windows cannot check
            connection.execute(f"set {CHECK_INTERVAL} = '{CHECK_INTERVAL_VALUE}'")
    except psycopg.Error as error:
        reason = " ".join(str(error).split()).removeprefix("connection failed: ")
        raise MediaError(
            f"cannot connect to {description}: {reason};"
            " start the server, or correct PGHOST and the other PG* variables"
        ) from error
    OPENED.add(connection)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        message = _wrong_encoding(connection.info.dbname, str(encoding))
        connection.close()
        raise MediaError(message)
    return connection


def _refuse_shared_sessions(connection: psycopg.Connection, conninfo: str) -> None:
    """Raises MediaError if a pooler gives each transaction another server connection.

    It would give our role and settings to other clients, and theirs to us. With a pooler that keeps a server
    connection for the whole session, all is well: another client never gets the same one.
    """
    pid = _server_process(connection)
    if pid == connection.info.backend_pid:
        return  # no pooler: the server itself told us its process
    with psycopg.connect(conninfo, autocommit=True) as other, other.transaction():
        if _server_process(other) != pid and _server_process(connection) == pid:
            return
    address = f"{connection.info.host}:{connection.info.port}"
    connection.close()
    raise MediaError(
        f"the pooler at {address} gives each transaction another connection, but media needs one for its"
        " whole session: connect to PostgreSQL directly, or to a pool with pool_mode = session"
    )


def _server_process(connection: psycopg.Connection) -> int:
    found = connection.execute("select pg_backend_pid()").fetchone()
    return int(found[0]) if found else 0


def _wrong_encoding(name: str, encoding: str) -> str:
    create = sql.SQL("create database {} encoding 'UTF8' locale 'C.UTF-8' template template0")
    statement = create.format(sql.Identifier(f"{name}_utf8")).as_string()
    return (
        f"the database {name} has the encoding {encoding}, which cannot hold every name:"
        f" run `{statement}`, set PGDATABASE={name}_utf8, and run `media migrate`"
    )
