"""A connection pooler for tests, which passes PostgreSQL's protocol on as PgBouncer does."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from loader.database.server import Server

ENCRYPTION_REQUESTS = (80877103, 80877104)
PARAMETERS = {"server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8"}


class Pooler:
    """Gives a client a server connection per session, or per transaction the one that became free last."""

    def __init__(self, server: Server, by_transaction: bool) -> None:
        self._server, self._by_transaction = server, by_transaction
        self._free: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for free in self._free:
            free.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        startup = self._startup(client)
        client.sendall(_message(b"R", struct.pack("!i", 0)))
        for name, value in PARAMETERS.items():
            client.sendall(_message(b"S", f"{name}\0{value}\0".encode()))
        client.sendall(
            _message(b"K", struct.pack("!ii", 4711, 4711)) + _message(b"Z", b"I")
        )  # not a server's pid
        server: socket.socket | None = None
        with client, suppress(OSError):
            while data := client.recv(1 << 16):
                if data[:1] == b"X":  # the client ends its session
                    break
                if server is None:
                    server = self._free.pop() if self._free else self._connect(startup)
                server.sendall(data)
                self._relay(client, server)
                if self._by_transaction:
                    self._free.append(server)
                    server = None
        if server is not None:
            server.close()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """Passes data on in both directions until the server is ready and outside a transaction."""
        pending = b""
        while True:
            readable, _, _ = select.select([client, server], [], [])
            if client in readable:
                data = client.recv(1 << 16)
                if not data or data[:1] == b"X":
                    raise OSError("the client left in a transaction")
                server.sendall(data)
            if server in readable:
                data = server.recv(1 << 16)
                client.sendall(data)
                pending += data
                while len(pending) >= 5 and len(pending) > (size := struct.unpack("!i", pending[1:5])[0]):
                    message, pending = pending[: size + 1], pending[size + 1 :]
                    if message[:1] == b"Z" and message[5:6] == b"I" and not pending:
                        return

    def _startup(self, client: socket.socket) -> bytes:
        """Returns the client's startup message, without asking for a password."""
        while True:
            (size,) = struct.unpack("!i", client.recv(4, socket.MSG_WAITALL))
            body = client.recv(size - 4, socket.MSG_WAITALL)
            if struct.unpack("!i", body[:4])[0] not in ENCRYPTION_REQUESTS:
                return struct.pack("!i", size) + body
            client.sendall(b"N")

    def _connect(self, startup: bytes) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self._server.socket_directory / f".s.PGSQL.{self._server.port}"))
        server.sendall(startup)
        received = b""
        while not received.endswith(_message(b"Z", b"I")):
            received += server.recv(1 << 16)
        return server


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


@contextmanager
def pooled(server: Server, by_transaction: bool) -> Iterator[int]:
    """Yields the port of a pooler in front of the server."""
    pooler = Pooler(server, by_transaction)
    try:
        yield pooler.port
    finally:
        pooler.close()
