"""Which database a command works on.

libpq's PG* variables alone decide: if one of those that say where and as whom to connect is set, they count
as in psql; if none is, the embedded PostgreSQL of the checkout is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from loader.database import libpq
from loader.database.connection import Database, open_connection
from loader.database.embedded import Embedded
from loader.project import CHECKOUT, MEDIA


@contextmanager
def database(directory: Path | None = None) -> Iterator[Database]:
    """Yields the database that the environment names; with `directory`, the embedded one in that directory.

    Within the block os.environ names it too, for dbt in this process. MediaError where it does not answer.
    """
    named = libpq.named()
    if named and directory is None:
        yield _named(named)
        return
    embedded = Embedded(directory or MEDIA)
    with libpq.replaced({}), embedded.lease() as server:
        with server.connect("media") as connection:
            version = connection.info.parameter_status("server_version")
        inside = embedded.directory.absolute().is_relative_to(CHECKOUT)
        place = f"{embedded.directory.absolute().relative_to(CHECKOUT)}/" if inside else embedded.directory
        with libpq.replaced(server.environment()):
            yield Database(f"embedded PostgreSQL {version} in {place}", server.environment())


def _named(named: Mapping[str, str]) -> Database:
    """Returns the database of the environment, spelled out.

    libpq completes it from a service file, .pgpass and its own defaults, which dbt does not read.
    """
    with open_connection("PostgreSQL", named) as connection:
        info = connection.info
        used = info.get_parameters() | {"password": info.password}
        used |= {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    env = {name: used[keyword] for name, keyword in libpq.KEYWORDS.items() if used.get(keyword)} | dict(named)
    return Database(f"PostgreSQL at {used['host']}:{used['port']}/{used['dbname']} as {used['user']}", env)
