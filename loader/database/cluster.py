"""Creates, starts, recovers and stops one PostgreSQL cluster, in a directory of its own.

    postgres/   the data
    run/        the socket (if its path is short enough), a link to it, and the log
    port        chosen once
    password    for 127.0.0.1; the socket needs none, because its directory is private

Callers must ensure that only one process at a time starts or stops it (loader/database/embedded.py).
"""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from loader.database import binaries
from loader.database.binaries import Account
from loader.database.server import (
    DATABASE,
    LOOPBACK,
    USER,
    Server,
    clear_leftovers,
    port_is_free,
    running_server,
)
from loader.errors import MediaError

DEFAULT_PORT = 5432
PORTS = range(15432, 30000)  # below the range that systems use for outgoing connections
RETRY_SECONDS = 10
START_SECONDS = 300  # crash recovery may have to replay gigabytes
SOCKET_DIRECTORY_BYTES = 85  # the whole path of a socket is limited to about 100


@dataclass(frozen=True)
class Cluster:
    """The cluster in `directory`, run by the programs in `programs`; `start` creates everything."""

    directory: Path
    programs: Path
    settings: Mapping[str, str] = field(hash=False)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "postgres"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.directory / "run" / "postgres.log"

    @property
    def password(self) -> str:
        """The superuser's password on 127.0.0.1."""
        return (self.directory / "password").read_text().strip()

    @property
    def port(self) -> int:
        """The port: a free one, chosen on first use and then kept, so that BI tools can rely on it."""
        port_file = self.directory / "port"
        if not port_file.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            free = next(port for port in random.sample(PORTS, len(PORTS)) if port_is_free(port))
            _write_private(port_file, str(free))
        return int(port_file.read_text())

    @property
    def socket_directory(self) -> Path:
        """run/, or a directory in the temporary directory if that path is too long for a socket."""
        preferred = self.directory.absolute() / "run"
        if len(os.fsencode(preferred)) <= SOCKET_DIRECTORY_BYTES and '"' not in str(preferred):
            return preferred
        digest = hashlib.sha256(os.fsencode(self.directory.resolve())).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"media-{digest}"

    def start(self) -> Server:
        """Returns the running server, with its database; creates, starts or recovers whatever is necessary.

        Raises MediaError if the server cannot be started.
        """
        account = self._account()
        server = running_server(self.data)
        connection = self._wait_for_connection(server) if server else None
        if server is None or connection is None:
            server = self._start_server(account)
            connection = self._wait_for_connection(server)
        if connection is None:
            raise MediaError(f"the embedded PostgreSQL stopped during startup: see {self.log}")
        with connection:
            self._set_up_database(connection)
        self._link_default_port(server)
        return server

    def stop(self, server: Server) -> None:
        """Shuts the server down cleanly, ending all sessions."""
        if server.accepts():
            self._control("stop", "-m", "fast", account=self._account())

    def _link_default_port(self, server: Server) -> None:
        """Links the socket under PostgreSQL's default port too.

        A profiles.yml then needs only the socket's directory, and stays valid if the port changes.
        """
        link = server.socket_directory / f".s.PGSQL.{DEFAULT_PORT}"
        target = f".s.PGSQL.{server.port}"
        if link.is_symlink() and str(link.readlink()) == target:
            return
        unfinished = link.with_name("link.unfinished")
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(target)
        unfinished.rename(link)

    def _account(self) -> Account | None:
        """Returns the user that runs the server: the owner of existing data; None means the current user."""
        root = os.geteuid() == 0
        if not self.data.exists():
            return binaries.system_account() if root else None
        owner = self.data.stat()
        if root:
            return Account(owner.st_uid, owner.st_gid)
        if owner.st_uid != os.geteuid():
            raise MediaError(
                f"{self.data} belongs to another user (id {owner.st_uid}): run as that user or as root"
            )
        return None

    def _wait_for_connection(self, server: Server) -> psycopg.Connection | None:
        """Waits until the server accepts connections; returns None if it stops instead."""
        started = time.monotonic()
        while True:
            try:
                return server.connect("postgres")
            except psycopg.OperationalError as error:
                if not server.accepts():
                    return None
                # A server that is starting up or shutting down says so, or drops the connection.
                timeout = START_SECONDS if "the database system is" in str(error) else RETRY_SECONDS
                if time.monotonic() > started + timeout:
                    raise MediaError(
                        f"the embedded PostgreSQL does not accept connections ({error}): see {self.log}"
                    ) from error
                time.sleep(0.1)

    def _start_server(self, account: Account | None) -> Server:
        binaries.make_readable(self.programs, account)
        self._make_directories(account)
        if not self.data.exists():
            self._initialise(account)
        for attempt in range(2):
            try:
                self._launch(account)
            except MediaError:
                if attempt:
                    raise
            if server := running_server(self.data):
                return server
            clear_leftovers(self.data, self.socket_directory)
        raise MediaError(f"the embedded PostgreSQL did not start: see {self.log}")

    def _make_directories(self, account: Account | None) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700 if account is None else 0o711)
        binaries.make_reachable(self.data, account)
        for folder in {self.directory / "run", self.socket_directory}:
            try:
                folder.mkdir(mode=0o700)
                _chown(folder, account)
            except FileExistsError:
                # The owner of the socket's directory can impersonate the server, so refuse anyone else's.
                found = folder.lstat()
                if (
                    found.st_uid != (account.uid if account else os.geteuid())
                    or found.st_mode & 0o170077 != 0o040000
                ):
                    raise MediaError(
                        f"{folder} is not a private directory of the server's user: remove it"
                    ) from None

    def _initialise(self, account: Account | None) -> None:
        """Creates the data directory under a temporary name first, because initdb may be killed halfway."""
        unfinished = self.data.with_name("postgres.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _chown(unfinished, account)
        # The built-in provider sorts alike on all systems and versions; servers before 17 lack it.
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        binaries.run(
            self.programs / "initdb",
            *("-D", unfinished.name, "-U", USER, "--encoding=UTF8", "--locale=C"),
            *("--auth-local=trust", "--auth-host=scram-sha-256", "--no-instructions"),
            *(builtin if binaries.major_version(self.programs) >= 17 else ()),
            cwd=self.directory,
            account=account,
        )
        with (unfinished / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in self.settings.items())
        unfinished.rename(self.data)

    def _launch(self, account: Account | None) -> None:
        options = {
            "port": str(self.port),
            # If another program has taken the port, only the socket is served, under the same name.
            "listen_addresses": LOOPBACK if port_is_free(self.port) else "",
            "unix_socket_directories": f'"{self.socket_directory}"',
            "unix_socket_permissions": "0700",
        }
        arguments = " ".join(shlex.quote(f"--{name}={value}") for name, value in options.items())
        self._control(
            "start", "-l", str(self.log.relative_to(self.directory)), "-o", arguments, account=account
        )

    def _control(self, action: str, *arguments: str, account: Account | None) -> None:
        # Relative paths, because pg_ctl passes them to a shell, which would expand special characters.
        binaries.run(
            self.programs / "pg_ctl",
            *(action, "-D", self.data.name, "-w", "-t", str(START_SECONDS), *arguments),
            cwd=self.directory,
            account=account,
        )

    def _set_up_database(self, connection: psycopg.Connection) -> None:
        """Creates the database, and the superuser's password, if missing."""
        if not connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone():
            connection.execute(
                sql.SQL("create database {} template template0").format(sql.Identifier(DATABASE))
            )
        password_file = self.directory / "password"
        if not password_file.exists():
            password = secrets.token_urlsafe(18)
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(USER), password))
            _write_private(password_file, password)


def _chown(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)


def _write_private(path: Path, text: str) -> None:
    """Writes a file atomically, readable only by its owner."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(f"{text}\n")
    unfinished.rename(path)
