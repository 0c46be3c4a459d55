"""The environment variables that tell libpq (psycopg, psql, dbt) where to connect."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

# These do not say where, or as which user, to connect.
NON_CONNECTION_VARIABLES = {
    *("PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATESTYLE", "PGGEQO", "PGOPTIONS", "PGTZ")
}

KEYWORDS: Mapping[str, str] = {
    option.envvar.decode(): option.keyword.decode()
    for option in psycopg.pq.Conninfo.get_defaults()
    if option.envvar is not None and option.envvar.decode() not in NON_CONNECTION_VARIABLES
} | {"PGSERVICEFILE": ""}
"""PGHOST → host, …; no keyword for PGSERVICEFILE, because older versions of libpq have none."""


def variables_set() -> dict[str, str]:
    """Returns the connection variables that are set; like libpq, treats an empty one as not set."""
    return {name: value for name in KEYWORDS if (value := os.environ.get(name))}


def stripped(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment without the connection variables."""
    return {name: value for name, value in environment.items() if name not in KEYWORDS}


@contextmanager
def environment(env: Mapping[str, str]) -> Iterator[None]:
    """Replaces the connection variables in os.environ with `env` for the length of the block.

    Connection arguments are not enough: PGSERVICE, PGHOSTADDR and PGREQUIREAUTH affect every connection.
    """
    before = {name: os.environ.pop(name) for name in {*KEYWORDS, *env} if name in os.environ}
    os.environ.update(env)
    try:
        yield
    finally:
        for name in env:
            os.environ.pop(name, None)
        os.environ.update(before)
