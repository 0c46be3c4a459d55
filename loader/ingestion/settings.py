"""Stores what feeds.yml says about deliveries: the settings of each feed, and what each key says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg import sql

from loader.agency.clients import known_clients
from loader.files.feeds import Feed
from loader.files.keys import KeyMatch
from loader.names import client_key

SQL = Path(__file__).parent / "sql"
COLUMNS = ("location", "name", "redelivery", "client_from_key", "moved_from", "covers", "same_key")


def sync_feeds(connection: psycopg.Connection, feeds: Sequence[Feed]) -> None:
    """Writes the settings of feeds.yml that determine which rows are live, and keeps those of other feeds.

    If settings that concern keys have changed, the keys of all runs of the feed are read again.
    """
    with connection.transaction():
        _write_feeds(connection, {feed.location: _stored(feed) for feed in feeds})
        _read_keys_again(connection, {feed.location: feed for feed in feeds})
        _find_clients(connection)


def _stored(feed: Feed) -> tuple[str | bool | None, ...]:
    """Returns the row of media_ops.feeds, in the order of COLUMNS."""
    client_from_key = feed.client.key_group is not None
    settings = (feed.redelivery, client_from_key, feed.moved_from, feed.covers, feed.same_key)
    return feed.location, feed.name, *settings


def _write_feeds(connection: psycopg.Connection, declared: dict[str, tuple[str | bool | None, ...]]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    # What is declared now belongs to no other feed any more.
    owned = [one for row in declared.values() for one in (row[0], row[COLUMNS.index("moved_from")])]
    others = sql.SQL(
        "from media_ops.feeds where moved_from = any(%(owned)s) and location <> all(%(locations)s)"
    )
    values = {"owned": owned, "locations": list(declared)}
    select = sql.SQL(
        "select {} from media_ops.feeds where location = any(%(locations)s) union all select {} {}"
    ).format(names, names, others)
    if set(connection.execute(select, values).fetchall()) == set(declared.values()):
        return
    # One at a time: two feeds.yml that move feeds to and fro must not leave a circle.
    connection.execute("lock table media_ops.feeds in share row exclusive mode")
    connection.execute(
        sql.SQL("update media_ops.feeds set moved_from = null where location in (select location {})").format(
            others
        ),
        values,
    )
    upsert = sql.SQL(
        "insert into media_ops.feeds ({}) values ({}) on conflict (location) do update set ({}) = row({})"
    ).format(
        names,
        sql.SQL(", ").join(sql.Placeholder() * len(COLUMNS)),
        names,
        sql.SQL(", ").join(sql.Identifier("excluded", name) for name in COLUMNS),
    )
    connection.cursor().executemany(upsert, list(declared.values()))


def _read_keys_again(connection: psycopg.Connection, feeds: dict[str, Feed]) -> None:
    """Reads the keys of the runs whose keys were read with other settings than the current ones."""
    rules = [feed.key_rules for feed in feeds.values()]
    query = (SQL / "keys_to_read.sql").read_bytes()
    found = connection.execute(query, {"locations": list(feeds), "key_rules": rules}).fetchall()
    if found:
        write_run_keys(
            connection,
            ((run, feeds[location], feeds[location].read_file(file)) for run, location, file in found),
            known_clients(connection),
        )


def _find_clients(connection: psycopg.Connection) -> None:
    """Finds the clients in keys that were unknown when the key was read."""
    found = connection.execute(
        "select run_id, client from media_ops.run_keys where client is not null and client_id is null"
        " order by run_id"
    ).fetchall()
    if not found:
        return
    clients = known_clients(connection)
    known = [(clients[client_key(name)], run) for run, name in found if client_key(name) in clients]
    connection.cursor().executemany("update media_ops.run_keys set client_id = %s where run_id = %s", known)


def write_run_keys(
    connection: psycopg.Connection,
    runs: Iterable[tuple[UUID, Feed, KeyMatch]],
    clients: dict[str, str],
) -> None:
    """Writes what the keys of runs say; `clients` maps client_key() of each id and name to the id."""
    connection.cursor().executemany(
        """
        insert into media_ops.run_keys (run_id, key_date, client, client_id, part, delivery, key_rules)
        values (%s, %s, %s, %s, %s, %s, %s)
        on conflict (run_id) do update set
            (key_date, client, client_id, part, delivery, key_rules)
            = (
                excluded.key_date, excluded.client, excluded.client_id, excluded.part, excluded.delivery,
                excluded.key_rules
            )
        """,
        [
            (
                run,
                key.date,
                key.client,
                clients.get(client_key(key.client)) if key.client else None,
                key.part,
                key.delivery,
                feed.key_rules,
            )
            for run, feed, key in runs
        ],
    )
