"""The embedded PostgreSQL, in .media/ of the checkout: it serves where the environment names no other.

A command takes a lease: it starts the server if needed, and the last lease to end stops it, unless `media db
start` asked for it to be kept or someone else is connected. Leases are file locks, so a killed process leaves
none behind; starting and stopping happen under a lock of their own, so processes never race.

    python -m loader.database.embedded      prints profiles.yml for this checkout (make install)
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import psycopg

from loader.database import binaries, libpq
from loader.database.cluster import Cluster
from loader.database.server import DATABASE, LOOPBACK, USER, Server, running_server
from loader.errors import MediaError
from loader.project import CHECKOUT, MEDIA

# For two cores, a few GB of memory and bulk loads. Durability (fsync, synchronous_commit) stays on.
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "shared_buffers": "256MB",
        "effective_cache_size": "2GB",
        "work_mem": "32MB",
        "maintenance_work_mem": "256MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",  # compiling costs a build more than it saves
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)


@dataclass(frozen=True)
class Embedded:
    """An embedded server by its directory; nothing of it exists before the first lease."""

    directory: Path = MEDIA
    programs: Path = field(default_factory=binaries.wheel)
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS, hash=False)

    @property
    def cluster(self) -> Cluster:
        """The cluster in the directory."""
        return Cluster(self.directory, self.programs, self.settings)

    @contextmanager
    def lease(self) -> Iterator[Server]:
        """Has the server running for as long as the block lasts.

        The environment must name no other meanwhile (libpq.replaced); connection.database() sees to it.
        """
        with self._locked():
            server = self.cluster.start()
            users = self._open("users")
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield server
        finally:
            with self._locked():
                self._end(users, server)

    def start(self) -> Server:
        """Starts the server if needed and has it kept until `stop`."""
        with libpq.replaced({}), self._locked():
            server = self.cluster.start()
            (self.directory / "kept").write_text(server.identity)
            return server

    def stop(self) -> bool:
        """Stops the server, whoever uses it; returns whether it was running."""
        if not self.directory.exists():
            return False
        with self._locked():
            (self.directory / "kept").unlink(missing_ok=True)
            server = running_server(self.cluster.data)
            if server:
                self.cluster.stop(server)
            return server is not None

    def address(self, server: Server) -> str | None:
        """Returns the URL, password included, for tools that know no sockets; None if it has none."""
        if not server.listens:
            return None
        return f"postgresql://{USER}:{self.cluster.password}@{LOOPBACK}:{server.port}/{DATABASE}"

    def _end(self, users: int, server: Server) -> None:
        """Ends a lease, and the server with the last of them."""
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process is at work: the last one stops the server
        finally:
            os.close(users)
        if not self._is_kept(server) and not _has_guests(server):
            with suppress(MediaError):  # the command's own work is done: what runs on, the next one finds
                self.cluster.stop(server)

    def _is_kept(self, server: Server) -> bool:
        kept = self.directory / "kept"
        return kept.exists() and kept.read_text() == server.identity

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = self._open("lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            return os.open(self.directory / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise MediaError(
                f"cannot use {self.directory} for the embedded PostgreSQL: {error.strerror}"
            ) from error


def _has_guests(server: Server) -> bool:
    """Returns whether others (BI tools, psql, dbt on its own) are connected, and still are a moment later."""
    for _ in range(10):
        try:
            with server.connect(DATABASE) as connection:
                guests = connection.execute(
                    "select 1 from pg_stat_activity"
                    " where backend_type = 'client backend' and pid <> pg_backend_pid()"
                ).fetchall()
        except psycopg.OperationalError:
            return False
        if not guests:
            return False
        time.sleep(0.1)  # our own connections of a moment ago may still be on their way out
    return True


def profile(directory: Path = MEDIA) -> str:
    """Returns profiles.example.yml with the embedded server of this checkout in place of the default host.

    The default port stays: the socket answers under it, whatever port the server has. Quotes and braces of a
    directory's name are written so that neither YAML nor Jinja sees any.
    """
    cluster = Embedded(directory).cluster
    host = re.sub(r"""["'\\\\{}]""", lambda odd: f"\\\\x{ord(odd[0]):02x}", str(cluster.socket_directory))
    example = (CHECKOUT / "profiles.example.yml").read_text()
    return example.replace("'127.0.0.1'", f"'{host}'")


if __name__ == "__main__":
    print(profile(), end="")
