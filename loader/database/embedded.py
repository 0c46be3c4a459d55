"""The embedded PostgreSQL in the checkout's .media/, used if the environment names no database.

Each command takes a lease, which starts the server if necessary. The last lease to end stops it, unless
`media db start` was run or another program is connected. Leases are file locks, so a killed process leaves
none behind. A second lock serialises starting and stopping.

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

# For two cores, a few GB of memory and bulk loads. Commits stay durable (fsync, synchronous_commit).
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "shared_buffers": "256MB",
        "effective_cache_size": "2GB",
        "work_mem": "32MB",
        "maintenance_work_mem": "256MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "jit": "off",  # in a build, compiling takes longer than it saves
        "synchronous_commit": "on",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)


@dataclass(frozen=True)
class Embedded:
    """The embedded server in a directory; the first lease creates it."""

    directory: Path = MEDIA
    programs: Path = field(default_factory=binaries.wheel)
    settings: Mapping[str, str] = field(default_factory=lambda: SETTINGS, hash=False)

    @property
    def cluster(self) -> Cluster:
        """The cluster in `directory`."""
        return Cluster(self.directory, self.programs, self.settings)

    @contextmanager
    def lease(self) -> Iterator[Server]:
        """Keeps the server running for the length of the block, and yields it; raises MediaError.

        Call it within libpq.environment({}), as choice.database() does: PG* variables would interfere.
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
        """Starts the server if necessary and keeps it running until `stop`; raises MediaError."""
        with libpq.environment({}), self._locked():
            server = self.cluster.start()
            (self.directory / "kept").write_text(server.identity)
            return server

    def stop(self) -> bool:
        """Stops the server even if it is in use; returns whether it was running."""
        if not self.directory.exists():
            return False
        with self._locked():
            (self.directory / "kept").unlink(missing_ok=True)
            server = running_server(self.cluster.data)
            if server:
                self.cluster.stop(server)
            return server is not None

    def address(self, server: Server) -> str | None:
        """Returns the URL (with password) on 127.0.0.1, for tools without socket support, or None."""
        if not server.listens:
            return None
        return f"postgresql://{USER}:{self.cluster.password}@{LOOPBACK}:{server.port}/{DATABASE}"

    def _end(self, users: int, server: Server) -> None:
        """Ends a lease; stops the server if it was the last one."""
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another process has a lease: the last one stops the server
        finally:
            os.close(users)
        if not self._is_kept(server) and not _has_other_sessions(server):
            with suppress(MediaError):  # the command has succeeded, and the next one can stop the server
                self.cluster.stop(server)

    def _is_kept(self, server: Server) -> bool:
        marker = self.directory / "kept"
        return marker.exists() and marker.read_text() == server.identity

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
                f"cannot use {self.directory} for the embedded PostgreSQL ({error.strerror}):"
                " give this user access, or set PGHOST and the other PG* variables to use another server"
            ) from error


def _has_other_sessions(server: Server) -> bool:
    """Returns whether other programs (BI tools, psql, dbt) are connected, and stay so for a second."""
    for _ in range(10):
        try:
            with server.connect(DATABASE) as connection:
                sessions = connection.execute(
                    "select 1 from pg_stat_activity"
                    " where backend_type = 'client backend' and pid <> pg_backend_pid()"
                ).fetchall()
        except psycopg.OperationalError:
            return False
        if not sessions:
            return False
        time.sleep(0.1)  # our own last connections may not have closed yet
    return True


def profile(directory: Path = MEDIA) -> str:
    """Returns profiles.example.yml with the embedded server's socket directory as the default host.

    The default port stays, because the socket is linked under it (Cluster.start). Quotes, backslashes and
    braces in the directory's name are escaped for YAML and Jinja.
    """
    cluster = Embedded(directory).cluster
    host = re.sub(r"""["'\\\\{}]""", lambda match: f"\\\\x{ord(match[0]):02x}", str(cluster.socket_directory))
    example = (CHECKOUT / "profiles.example.yml").read_text()
    return example.replace("'127.0.0.1'", f"'{host}'")


if __name__ == "__main__":
    print(profile(), end="")
