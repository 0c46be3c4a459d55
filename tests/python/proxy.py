"""An S3 that misbehaves on demand: a real HTTP proxy in front of moto's server."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Fault:
    """What the proxy does to the response to one request for an object."""

    status: int = 0
    """The status to answer with instead, with an error body like S3's; 0: pass the response on."""
    after: int = -1
    """How many bytes of the body to send before `then` and `cut` apply; -1: all."""
    then: Callable[[], None] | None = None
    """Called after those bytes."""
    cut: bool = False
    """Close the connection after those bytes, instead of sending the rest."""
    pause: float = 0.0
    """Seconds to wait after each kilobyte."""


class Proxy:
    """The proxy, and the faults for the next requests for an object."""

    def __init__(self, upstream: str) -> None:
        """Binds to a free port."""
        proxy = self

        class Handler(_Handler):
            origin = urlsplit(upstream).netloc

            def fault(self) -> Fault:
                proxy.requests.append((self.path, self.headers.get("Range"), self.headers.get("If-Match")))
                return proxy.always or (proxy.faults.popleft() if proxy.faults else Fault())

        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def remove_faults(self) -> None:
        """Passes every response on unchanged from now on."""
        self.faults.clear()
        self.always = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin = ""

    def fault(self) -> Fault:
        """Takes the next fault."""
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        """Passes a request on; applies a fault if it is for an object."""
        listing = "list-type" in self.path
        fault = Fault() if listing else self.fault()
        if fault.status:
            self._answer(fault.status, [], b"<Error><Code>InternalError</Code></Error>", Fault())
            return
        upstream = http.client.HTTPConnection(self.origin, timeout=60)
        upstream.request("GET", self.path, headers=dict(self.headers.items()))
        response = upstream.getresponse()
        body = response.read()
        upstream.close()
        self._answer(response.status, response.getheaders(), body, fault)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, fault: Fault) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        first = len(body) if fault.after < 0 else min(fault.after, len(body))
        self._send(body[:first], fault.pause)
        if fault.then is not None:
            fault.then()
        if fault.cut:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._send(body[first:], fault.pause)

    def _send(self, data: bytes, pause: float) -> None:
        step = 1024 if pause else len(data)
        try:
            for start in range(0, len(data), step or 1):
                self.wfile.write(data[start : start + step])
                time.sleep(pause)
        except OSError:  # the client was killed
            self.close_connection = True


@contextmanager
def proxied(upstream: str) -> Iterator[Proxy]:
    """Runs a proxy for the duration of the block."""
    proxy = Proxy(upstream)
    thread = threading.Thread(target=proxy.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()
