"""Reports which sessions this process waits for on the server, and since when those have what it needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg

from loader.database.connection import OPENED, Database, connect
from loader.errors import MediaError

WAITS = (Path(__file__).parent / "waits.sql").read_bytes()
SECONDS_BETWEEN_CHECKS = 2.0


def _opened_by_us() -> Iterable[int]:
    return [one.info.backend_pid for one in list(OPENED) if not one.closed]


SERVER_PROCESSES: list[Callable[[], Iterable[int]]] = [_opened_by_us]
"""Functions that return the ids of the server's processes for our connections: transform.py adds dbt's."""


@contextmanager
def reporting_waits(db: Database, report: Callable[[str], None]) -> Iterator[None]:
    """Calls `report`, from another thread, with a sentence for each session that one of ours waits for."""
    ended = threading.Event()
    threading.Thread(target=_check, args=[db, report, ended], daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _check(db: Database, report: Callable[[str], None], ended: threading.Event) -> None:
    reported: set[str] = set()
    while not ended.wait(SECONDS_BETWEEN_CHECKS):
        pids = [pid for processes in SERVER_PROCESSES for pid in processes()]
        for sentence in _sentences(db, pids) if pids else ():
            if sentence not in reported:
                reported.add(sentence)
                report(sentence)


def _sentences(db: Database, pids: list[int]) -> list[str]:
    with suppress(MediaError, psycopg.Error):  # the command itself will say what is wrong
        # as the login, not in a role: a login may see when its own sessions began
        with closing(connect(db, autocommit=True)) as connection:
            found = connection.execute(WAITS, {"pids": pids}).fetchall()
        return [
            f"waiting for {program} of {login} (pid {pid}"
            + (f", since {since:%H:%M:%S} UTC)" if since else ")")
            for program, login, pid, since in found
        ]
    return []
