"""The rules that the loader and dbt share: the views in media_ops."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from loader.database.connection import Database, connect
from loader.ingestion.ledger import LATEST, latest_runs

CLIENTS = """
insert into media.clients (id, name) values
('00000000-0000-0000-0000-00000000000a', 'Acme'), ('00000000-0000-0000-0000-00000000000b', 'Beta')
"""
PERIODS = """
select clients.name, cpm_periods.cpm::text, cpm_periods.first_date::text, cpm_periods.next_date::text
from media_ops.cpm_periods join media.clients on clients.id = client_id
order by clients.name, first_date
"""


@pytest.fixture
def connection(database: Database) -> Iterator[psycopg.Connection]:
    with connect(database, autocommit=True) as opened:
        opened.execute(CLIENTS)
        yield opened


def test_a_cpm_is_in_force_until_the_clients_next_one(connection: psycopg.Connection) -> None:
    for client, cpm, since in [
        ("a", "2.5", "2026-03-02"),
        ("a", "1.5", None),  # from the beginning
        ("a", "3.5", "2026-03-10"),
        ("b", "9", "2026-03-05"),  # another client's CPM does not end it
    ]:
        connection.execute(
            "insert into media.client_settings (client_id, cpm, effective_date) values (%s, %s, %s)",
            [f"00000000-0000-0000-0000-00000000000{client}", cpm, since],
        )
    assert connection.execute(PERIODS).fetchall() == [
        ("Acme", "1.5000", "-infinity", "2026-03-02"),
        ("Acme", "2.5000", "2026-03-02", "2026-03-10"),
        ("Acme", "3.5000", "2026-03-10", "infinity"),
        ("Beta", "9.0000", "2026-03-05", "infinity"),
    ]


def run(connection: psycopg.Connection, key: str, **values: Any) -> str:
    """Records a run, successful unless `values` differ; returns its id."""
    row = {
        "status": "failed" if values.get("failure") else "success",
        "run_date": date(2026, 3, 2),
        "feed": "ttd",
        "feed_location": "s3://drops/ttd/",
        "bucket": "drops",
        "object_key": key,
        "object_uri": f"s3://drops/{key}",
        "last_modified": "2026-03-03",
        "finished_at": "2026-03-03",
        **values,
    }
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    found = connection.execute(
        f"insert into media.ingestion_logs ({names}) values ({marks}) returning id::text".encode(),
        list(row.values()),
    ).fetchone()
    assert found is not None
    return str(found[0])


def test_a_run_counts_if_it_succeeded_staged_its_content_and_is_not_retracted(
    connection: psycopg.Connection,
) -> None:
    counts = run(connection, "a")
    run(connection, "a", same_content_as=counts)
    run(connection, "b", retracted_at="2026-03-04")
    run(connection, "c", failure="outside")
    run(connection, "d", failure="content")
    found = connection.execute("select run_id::text from media_ops.runs_that_count").fetchall()
    assert found == [(counts,)]


def test_files_with_bad_content_or_rejected_rows_wait_for_a_retry(
    connection: psycopg.Connection,
) -> None:
    rejected = run(connection, "rejected", records_failed=3)
    run(connection, "rejected", same_content_as=rejected)
    run(connection, "rejected", failure="outside")
    content = run(connection, "content", failure="content")
    run(connection, "corrected", failure="content")
    run(connection, "corrected")
    run(connection, "retracted", records_failed=1, retracted_at="2026-03-04")
    run(connection, "network", failure="outside")
    found = connection.execute(
        "select object_key, run_id::text, records_failed from media_ops.runs_waiting_for_retry"
        " where bucket = 'drops' order by object_key"
    ).fetchall()
    assert found == [("content", content, 0), ("rejected", rejected, 3)]
    latest = latest_runs(connection, "drops", adds=False)
    waiting = {key: str(one.waiting) for (key, *_), one in latest.items() if one.waiting}
    assert waiting == {"content": content, "rejected": rejected}


def test_reading_the_runs_of_a_bucket_uses_an_index(connection: psycopg.Connection) -> None:
    connection.execute(
        "insert into media.ingestion_logs (status, feed, feed_location, bucket, object_key, object_uri,"
        " last_modified) select 'success', 'ttd', 's3://' || number % 50, 'bucket ' || number % 50,"
        " 'key ' || number, '', '2026-03-03' from generate_series(1, 20000) as number"
    )
    connection.execute("analyze media.ingestion_logs")
    lines = [
        line
        for (line,) in connection.execute(
            b"explain " + LATEST, {"bucket": "bucket 7", "key": None, "adds": False}
        ).fetchall()
    ]
    assert not [line for line in lines if "Seq Scan on ingestion_logs" in line], lines
    assert sum("idx_ingestion_logs_object" in line for line in lines) >= 2, lines


def test_a_run_is_running_while_its_transaction_is(
    connection: psycopg.Connection, database: Database
) -> None:
    running = "select run_id::text from media_ops.running_runs"
    unfinished = {"failure": "outside", "finished_at": None}
    run(connection, "a", **unfinished, loading_transaction="3")  # long ago
    run(connection, "a", **unfinished, loading_transaction=f"{2**62}")  # of another server
    with connect(database) as loader:
        (transaction,) = loader.execute("select pg_current_xact_id()::text").fetchone() or ("",)
        latest = run(connection, "a", **unfinished, loading_transaction=transaction)
        run(connection, "b", loading_transaction=transaction)
        assert connection.execute(running).fetchall() == [(latest,)]
        loader.rollback()
    assert connection.execute(running).fetchall() == []
