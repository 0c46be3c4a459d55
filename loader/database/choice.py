"""Chooses the database that a command works on.

If any of libpq's PG* connection variables is set, they name the database, as for psql. If none is set, the
checkout's embedded PostgreSQL is used.
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

    The embedded server runs for the length of the block, and os.environ names it, for dbt in this process.
    Raises MediaError if the server cannot be reached or started.
    """
    variables = libpq.variables_set()
    if variables and directory is None:
        yield _from_environment(variables)
        return
    embedded = Embedded(directory or MEDIA)
    with libpq.environment({}), embedded.lease() as server:
        with server.connect("media") as connection:
            version = connection.info.parameter_status("server_version")
        inside = embedded.directory.absolute().is_relative_to(CHECKOUT)
        place = f"{embedded.directory.absolute().relative_to(CHECKOUT)}/" if inside else embedded.directory
        with libpq.environment(server.environment()):
            yield Database(f"embedded PostgreSQL {version} in {place}", server.environment())


def _from_environment(variables: Mapping[str, str]) -> Database:
    """Returns the database that the PG* variables name, with every connection parameter filled in.

    libpq also reads a service file, .pgpass and its own defaults; dbt does not.
    """
    with open_connection("PostgreSQL", variables) as connection:
        info = connection.info
        used = info.get_parameters() | {"password": info.password}
        used |= {"host": info.host, "port": str(info.port), "user": info.user, "dbname": info.dbname}
    env = {name: used[keyword] for name, keyword in libpq.KEYWORDS.items() if used.get(keyword)}
    env.update(variables)
    return Database(f"PostgreSQL at {used['host']}:{used['port']}/{used['dbname']} as {used['user']}", env)
