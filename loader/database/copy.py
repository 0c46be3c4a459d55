"""Copies a database. dbt builds only in schema media, so whoever develops needs a database of their own."""

from __future__ import annotations

import re
import shlex

import psycopg
from psycopg import sql

from loader.database.connection import Database, open_connection
from loader.errors import MediaError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")  # PostgreSQL cuts off what is longer than 63 bytes
SECRETS = {"PGPASSWORD", "PGSSLPASSWORD"}
SERVICES = {"PGSERVICE", "PGSERVICEFILE"}


def copy_database(db: Database, name: str) -> None:
    """Creates the database `name` as a copy of `db`, on the same server and with the same owner.

    Raises MediaError if the name is not valid or taken, if anyone is connected to `db`, or if we may not
    create databases.
    """
    if not NAME.fullmatch(name):
        raise MediaError(
            f"{name!r} cannot be the name of a database: use up to 63 letters, digits, _ and -,"
            " and begin with a letter"
        )
    original = db.env["PGDATABASE"]
    with _connect_elsewhere(db) as connection:
        owner = connection.execute(
            "select pg_get_userbyid(datdba) from pg_database where datname = %s", [original]
        ).fetchone()
        assert owner is not None
        try:
            connection.execute(
                sql.SQL("create database {} template {} owner {}").format(
                    *map(sql.Identifier, (name, original, owner[0]))
                )
            )
        except psycopg.errors.DuplicateDatabase as error:
            raise MediaError(f"the database {name} exists already: choose another name") from error
        except psycopg.errors.ObjectInUse as error:
            raise MediaError(
                f"{original} cannot be copied while others are connected ({_sessions(connection, original)}):"
                " try again when they have disconnected"
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise MediaError(
                f"{connection.info.user} may not copy {original} ({error.diag.message_primary}): copy it as"
                f" {owner[0]}, who needs createdb"
            ) from error


def shell_commands(db: Database, name: str) -> list[str]:
    """Returns the commands that make a shell work on the database `name` of the server of `db`."""
    variables = {**db.env, "PGDATABASE": name}
    exported = [variable for variable in variables if variable not in SECRETS | SERVICES]
    return [
        *(f"unset {variable}" for variable in variables if variable in SERVICES),  # it names another database
        *(f"export {variable}={shlex.quote(variables[variable])}" for variable in exported),
    ]


def drop_command(db: Database, name: str) -> str:
    """Returns the command that drops the database `name` of the server of `db`."""
    statement = f"drop database {sql.Identifier(name).as_string()}"
    return f"media db psql --dbname={shlex.quote(db.env['PGDATABASE'])} --command={shlex.quote(statement)}"


def _connect_elsewhere(db: Database) -> psycopg.Connection:
    """Connects to another database of the server: we must not be connected to the one that is copied."""
    other = "template1" if db.env["PGDATABASE"] == "postgres" else "postgres"
    return open_connection(db.description, {**db.env, "PGDATABASE": other})


def _sessions(connection: psycopg.Connection, database: str) -> str:
    """Describes the sessions in a database. Only a superuser sees since when other users are connected."""
    found = connection.execute(
        """
        select coalesce(nullif(application_name, ''), 'a session'), usename, pid, backend_start
        from pg_stat_activity where datname = %s order by backend_start limit 5
        """,
        [database],
    ).fetchall()
    return "; ".join(
        f"{program} of {user}, pid {pid}" + (f", since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "")
        for program, user, pid, since in found
    )
