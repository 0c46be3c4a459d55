"""The environment variables that tell libpq, and with it psycopg, psql and dbt, where to connect."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

# Those of libpq's variables that do not say where or as whom to connect.
MANNERS = {"PGAPPNAME", "PGCLIENTENCODING", "PGCONNECT_TIMEOUT", "PGDATESTYLE", "PGGEQO", "PGOPTIONS", "PGTZ"}

KEYWORDS: Mapping[str, str] = {
    option.envvar.decode(): option.keyword.decode()
    for option in psycopg.pq.Conninfo.get_defaults()
    if option.envvar is not None and option.envvar.decode() not in MANNERS
} | {"PGSERVICEFILE": ""}
"""PGHOST → host, …; libpq reads PGSERVICEFILE by itself, and older ones have no keyword for it."""


def named() -> dict[str, str]:
    """Returns the variables that are set; as for libpq, an empty one is not."""
    return {name: value for name in KEYWORDS if (value := os.environ.get(name))}


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment less these variables."""
    return {name: value for name, value in environment.items() if name not in KEYWORDS}


@contextmanager
def replaced(env: Mapping[str, str]) -> Iterator[None]:
    """Has os.environ name the database of `env` and no other for as long as the block lasts.

    Arguments alone would not do: PGSERVICE, PGHOSTADDR and PGREQUIREAUTH have a say in every connection.
    """
    before = {name: os.environ.pop(name) for name in KEYWORDS if name in os.environ}
    os.environ.update(env)
    try:
        yield
    finally:
        for name in env:
            os.environ.pop(name, None)
        os.environ.update(before)
