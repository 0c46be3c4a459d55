"""The people: the agency's admins, and the clients' people with a database login of their own if wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg import sql

from loader.errors import MediaError

HASHER = PasswordHasher()  # Argon2id


@dataclass(frozen=True, slots=True)
class User:
    """One user, without the hash."""

    email: str
    role: str
    client: str | None
    login: str | None
    disabled_at: datetime | None


def add_user(
    connection: psycopg.Connection, email: str, password: str, client: UUID | None, login: str | None = None
) -> UUID:
    """Adds a user, an admin where no client is given; returns the id.

    `login`: also creates a database login with the same password, which sees its client's rows alone.
    """
    email = email.strip().lower()
    name, at, host = email.partition("@")
    if (
        not (name and at and host)
        or len(email) > 255
        or any(c.isspace() or not c.isprintable() for c in email)
    ):
        raise MediaError(f"{email[:60]!r} is no e-mail address")
    if not password or "\0" in password:
        raise MediaError("a password is needed: type one, or set MEDIA_PASSWORD")
    if login is not None and client is None:
        raise MediaError("admins see all through the portal only: --login goes with --client")
    try:
        with connection.transaction():
            if login is not None:
                _create_login(connection, login, password)
            found = connection.execute(
                "insert into media.users (email, password_hash, role, client_id, database_login)"
                " values (%s, %s, %s, %s, %s) returning id",
                [email, HASHER.hash(password), "client" if client else "admin", client, login],
            ).fetchone()
    except psycopg.errors.UniqueViolation as error:
        taken = login if "login" in (error.diag.constraint_name or "") else email
        raise MediaError(f"there is a user {taken} already") from error
    assert found is not None
    identity: UUID = found[0]
    return identity


def verify_password(connection: psycopg.Connection, email: str, password: str) -> UUID | None:
    """Returns the id of the user whose password this is, or None; for a media_portal login to call.

    None too where the user or the client is disabled.
    """
    address = email.strip().lower().replace("\0", "")  # no text of PostgreSQL has one, and so no user
    identity: UUID | None
    identity, known = connection.execute(
        "select id, password_hash from media_ops.sign_in(%s)", [address]
    ).fetchone() or (None, None)
    if known is None:
        HASHER.hash(password)  # as slow as for a known address: the time taken tells nothing
        return None
    try:
        HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return None
    return identity


def list_users(connection: psycopg.Connection) -> list[User]:
    """Returns all users by e-mail."""
    found = connection.execute(
        "select email, role, clients.name, database_login, disabled_at"
        " from media.users left join media.clients on clients.id = users.client_id order by email"
    ).fetchall()
    return [User(*row) for row in found]


def disable_user(connection: psycopg.Connection, email: str) -> bool:
    """Disables a user, who sees nothing from now on; returns whether that is new. MediaError if unknown."""
    email = email.strip().lower()
    if not connection.execute("select from media.users where email = %s", [email]).fetchall():
        raise MediaError(f"there is no user {email}: see `media users list`")
    changed = connection.execute(
        "update media.users set disabled_at = now() at time zone 'utc'"
        " where email = %s and disabled_at is null",
        [email],
    )
    return changed.rowcount > 0


def _create_login(connection: psycopg.Connection, login: str, password: str) -> None:
    if not login or len(login.encode()) > 63 or "\0" in login:
        raise MediaError(f"{login[:60]!r} is no name for a database login: give 1 to 63 bytes")
    # hashed here: the server's log may show statements
    secret = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
    try:
        connection.execute(
            sql.SQL("create role {} login password {} in role media_client").format(
                sql.Identifier(login), sql.Literal(secret)
            )
        )
    except psycopg.errors.DuplicateObject as error:
        raise MediaError(f"there is a database login {login} already: name another") from error
    except psycopg.errors.ReservedName as error:
        raise MediaError(f"PostgreSQL reserves the name {login}: name another") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise MediaError(
            f"{connection.info.user} may not create database logins: it needs createrole,"
            " and media_client with the admin option"
        ) from error
