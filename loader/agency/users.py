"""Users: the agency's admins, and clients' users, who can have their own database login."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import psycopg
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from psycopg import sql

from loader.errors import MediaError

HASHER = PasswordHasher()  # Argon2id
CREATE_LOGIN: tuple[LiteralString, ...] = (
    "create role {login} login connection limit 10 password {secret} in role media_client",
    "alter role {login} set statement_timeout = '2min'",
    "alter role {login} set timezone = 'UTC'",  # else weeks and months of a tool shift with its time zone
)
"""The limits keep a client's tool from using up the server; the login's owner can raise its own timeout."""


@dataclass(frozen=True, slots=True)
class User:
    """A user, without the password hash."""

    email: str
    role: str
    client: str | None
    login: str | None
    disabled_at: datetime | None


def add_user(
    connection: psycopg.Connection, email: str, password: str, client: UUID | None, login: str | None = None
) -> UUID:
    """Adds a user of a client, or an admin if `client` is None; returns the user's id.

    With `login`, also creates a database login with the same password, which sees only its client's rows.
    Raises MediaError if an argument is invalid, the address or login is taken, or we may not create logins.
    """
    email = email.strip().lower()
    name, at, host = email.partition("@")
    if (
        not (name and at and host)
        or len(email) > 255
        or any(c.isspace() or not c.isprintable() for c in email)
    ):
        raise MediaError(f"{email[:60]!r} is not an email address")
    if not password or "\0" in password:
        raise MediaError("a password is needed: type one, or set MEDIA_PASSWORD")
    if login is not None and client is None:
        raise MediaError("--login requires --client: admins use the portal only")
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
        on_login = "login" in (error.diag.constraint_name or "")
        taken = f"a user with login {login}" if on_login else f"user {email}"
        raise MediaError(f"{taken} already exists") from error
    assert found is not None
    user_id: UUID = found[0]
    return user_id


def verify_password(connection: psycopg.Connection, email: str, password: str) -> UUID | None:
    """Returns the id of the user with this email address and password; for the portal's server.

    Returns None if they do not match, or if the user or the client is disabled. The connection must belong to
    a media_portal login.
    """
    address = email.strip().lower().replace("\0", "")  # PostgreSQL refuses NUL, so no user's address has one
    user_id: UUID | None
    user_id, password_hash = connection.execute(
        "select id, password_hash from media_ops.sign_in(%s)", [address]
    ).fetchone() or (None, None)
    if password_hash is None:
        HASHER.hash(password)  # takes as long as for a known address, so that timing reveals no addresses
        return None
    try:
        HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return None
    return user_id


def list_users(connection: psycopg.Connection) -> list[User]:
    """Returns all users, sorted by email address."""
    found = connection.execute(
        "select email, role, clients.name, database_login, disabled_at"
        " from media.users left join media.clients on clients.id = users.client_id order by email"
    ).fetchall()
    return [User(*row) for row in found]


def disable_user(connection: psycopg.Connection, email: str) -> bool:
    """Disables a user, who then sees no rows; returns whether that changed. Raises MediaError if unknown."""
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
        raise MediaError(f"{login[:60]!r} is not a valid name for a database login: give 1 to 63 bytes")
    # hashed on our side, because the server's log may show statements
    secret = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()
    try:
        for statement in CREATE_LOGIN:
            connection.execute(
                sql.SQL(statement).format(login=sql.Identifier(login), secret=sql.Literal(secret))
            )
    except psycopg.errors.DuplicateObject as error:
        raise MediaError(f"database role {login} already exists: choose another name") from error
    except psycopg.errors.ReservedName as error:
        raise MediaError(f"PostgreSQL reserves the name {login}: choose another name") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise MediaError(
            f"{connection.info.user} may not create database logins: grant it createrole,"
            " and media_client with the admin option"
        ) from error
