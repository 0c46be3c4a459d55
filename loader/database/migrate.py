"""Migrates a database to the schema that this version declares in loader/database/schema/*.sql.

The files are idempotent. All of them are applied in filename order, in one transaction, so a database always
has either the old schema or the new one. Comparing the catalogue before and after shows whether it changed.

Each file declares a table for new databases (`create table if not exists …`) and, directly below, the steps
that migrate the database of an earlier release (`media_ops.add_column` and others, 02_functions.sql).
tests/python/test_releases.py fails if a step is missing.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

import psycopg

from loader.errors import READ_ONLY, MediaError

SCHEMA = Path(__file__).parent / "schema"
CATALOGUE = Path(__file__).parent / "catalogue.sql"
DECLARED = re.compile(r"(?:^create table if not exists |\bset_view\(')media\.(\w+)", re.MULTILINE)
FIRST_LOCK = 6_510_615_423  # an arbitrary number, shared by all first migrations
LOCK_TIMEOUT = "5s"  # while we wait for a table, all other sessions queue behind us


def migrate(connection: psycopg.Connection, schema: Path = SCHEMA) -> bool:
    """Applies the files of `schema`; returns whether that changed anything.

    Raises MediaError, with nothing changed, if a table stays locked for longer than LOCK_TIMEOUT, if a
    privilege is missing, or if a file fails.
    """
    require_writable(connection)
    try:
        with connection.transaction():
            connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
            _lock(connection)
            before = catalogue(connection)
            role = connection.execute("select current_setting('role')").fetchone()
            # for 05_restored.sql
            connection.execute("select set_config('media.declared', %s::text, true)", [declared(schema)])
            for file in sorted(schema.glob("*.sql")):
                _apply(connection, file)
            # 00_roles.sql switched to the owner's role
            connection.execute("select set_config('role', %s, true)", role)
            connection.execute(
                "insert into media_ops.applied_schema (digest) values (%s) on conflict do nothing",
                [digest(schema)],
            )
            return catalogue(connection) != before
    except psycopg.errors.LockNotAvailable as error:
        raise MediaError(f"nothing was changed, because {_holders(connection)}: try again later") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise MediaError(
            f"nothing was changed, because {connection.info.user} may not migrate"
            f" ({error.diag.message_primary}): migrate as {_owner(connection)}, who needs createrole, and the"
            " admin option on the media_ roles if another user created them"
        ) from error


def require_writable(connection: psycopg.Connection) -> None:
    """Raises MediaError if the server is read-only: for commands that lock before they write."""
    parameters = ("in_hot_standby", "default_transaction_read_only")
    if any(connection.info.parameter_status(name) == "on" for name in parameters):
        raise MediaError(READ_ONLY)


def is_current(connection: psycopg.Connection) -> bool:
    """Returns whether this version's schema was applied (a later version's may have been applied since)."""
    try:
        with connection.transaction():
            found = connection.execute(
                "select to_regclass('media.ingestion_logs') is not null and exists"
                " (select from media_ops.applied_schema where digest = %s)",
                [digest()],
            ).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return False
    return found is not None and bool(found[0])


def catalogue(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Returns (kind, name, definition) of every object that the schema files can change."""
    return connection.execute(CATALOGUE.read_bytes()).fetchall()


@cache
def digest(schema: Path = SCHEMA) -> str:
    """Returns the sha256 of the files of `schema`, in hexadecimal."""
    contents = hashlib.sha256()
    for file in sorted(schema.glob("*.sql")):
        contents.update(f"{file.name}\0".encode() + file.read_bytes() + b"\0")
    return contents.hexdigest()


def _lock(connection: psycopg.Connection) -> None:
    """Lets only one migration run at a time. Clients may not lock the table, so they cannot stop it."""
    exists = connection.execute("select to_regclass('media_ops.applied_schema') is not null").fetchone()
    if exists and exists[0]:
        connection.execute("lock table media_ops.applied_schema in share update exclusive mode")
    else:
        connection.execute("select pg_advisory_xact_lock(%s)", [FIRST_LOCK])


def declared(schema: Path = SCHEMA) -> list[str]:
    """Returns the tables and views that the files declare in schema media; all others are dbt's."""
    return [name for file in sorted(schema.glob("*.sql")) for name in DECLARED.findall(file.read_text())]


def _apply(connection: psycopg.Connection, file: Path) -> None:
    try:
        connection.execute(file.read_bytes())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
        raise
    except psycopg.Error as error:
        raise MediaError(
            f"nothing was changed, because {file.name} failed: {' '.join(str(error).split())}"
        ) from error


def _owner(connection: psycopg.Connection) -> str:
    found = connection.execute(
        """
        select pg_get_userbyid(coalesce((select nspowner from pg_namespace where nspname = 'media'), datdba))
        from pg_database where datname = current_database()
        """
    ).fetchone()
    return str(found[0]) if found else "the database's owner"


def _holders(connection: psycopg.Connection) -> str:
    """Describes the sessions that have locked our tables, oldest transaction first."""
    sessions = connection.execute(
        """
        select distinct pid, usename, coalesce(nullif(application_name, ''), 'a session'), xact_start
        from pg_locks join pg_stat_activity using (pid)
        where granted and pid <> pg_backend_pid() and datname = current_database() and xact_start is not null
            and relation in (
                select oid from pg_class where relnamespace::regnamespace::text in ('media', 'media_ops')
            )
        order by xact_start limit 3
        """
    ).fetchall()
    named = [
        f"{program} of {user} (pid {pid}, since {since:%H:%M:%S})" for pid, user, program, since in sessions
    ]
    return f"the tables are in use by {' and '.join(named)}" if named else "the tables were in use"
