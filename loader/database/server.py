"""Finds a running PostgreSQL server by its postmaster.pid, and cleans up after a crashed one."""

from __future__ import annotations

import contextlib
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg

USER = DATABASE = "media"
LOOPBACK = "127.0.0.1"
STOP_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server; its superuser and its database are both called media."""

    socket_directory: Path
    port: int
    listens: bool
    """Whether it also listens on 127.0.0.1: false if another program had taken the port."""
    identity: str
    """Process id and start time, so that a restarted server is a different one."""

    def accepts(self) -> bool:
        """Returns whether the socket accepts connections, even if the server is starting or stopping."""
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.connect(str(self.socket_directory / f".s.PGSQL.{self.port}"))
            return True
        return False

    def environment(self) -> dict[str, str]:
        """Returns the PG* variables for a connection through the socket."""
        return {
            "PGHOST": str(self.socket_directory),
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGDATABASE": DATABASE,
        }

    def connect(self, dbname: str) -> psycopg.Connection:
        """Opens a connection as the superuser, in autocommit."""
        return psycopg.connect(
            host=str(self.socket_directory),
            hostaddr="",
            port=self.port,
            user=USER,
            dbname=dbname,
            client_encoding="UTF8",
            autocommit=True,
        )


def running_server(data: Path) -> Server | None:
    """Returns the server that runs on a data directory; None if its socket does not accept connections."""
    lines = _postmaster_file(data)
    if len(lines) < 6:
        return None
    server = Server(Path(lines[4]), int(lines[3]), bool(lines[5]), f"{lines[0]} {lines[2]}")
    return server if server.accepts() else None


def port_is_free(port: int) -> bool:
    """Returns whether this port of 127.0.0.1 is free."""
    with socket.socket(socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def clear_leftovers(data: Path, socket_directory: Path) -> None:
    """Ends the processes of a server that no longer answers, and removes its lock files.

    Sessions outlive a killed postmaster for a moment. After a reboot, another program may have the process id
    in a lock file: PostgreSQL then assumes that a server is running and refuses to start.
    """
    lines = _postmaster_file(data)
    postmaster = int(lines[0]) if lines and lines[0].isdigit() else 0
    ours, unknown = _postgres_processes(data)
    for process in ours:
        if process.pid == postmaster:
            _signal(process, signal.SIGINT)
    for process in psutil.wait_procs(ours, timeout=STOP_TIMEOUT_SECONDS)[1]:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(ours, timeout=STOP_TIMEOUT_SECONDS)
    if postmaster not in unknown:
        for lock in (data / "postmaster.pid", *socket_directory.glob(".s.PGSQL.*")):
            lock.unlink(missing_ok=True)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _postmaster_file(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _postgres_processes(data: Path) -> tuple[list[psutil.Process], set[int]]:
    """Returns the processes of the data directory, and the ids of those whose directory is unreadable."""
    ours, unknown = [], set()
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                if Path(process.cwd()) == data.resolve():
                    ours.append(process)
            except psutil.AccessDenied:
                unknown.add(process.pid)
    return ours, unknown
