"""Who can hold up whom: loads, builds, nightly flows, and the people who read."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from access import PROTECTED, Agency, deliver, rows

from loader.database.connection import Database, connect
from loader.nightly.outcome import NightlyError, only_nightly_flow
from loader.project import CHECKOUT

LOCK_TIMEOUT = "-c lock_timeout=500ms"


@pytest.mark.any_postgres
def test_a_clients_login_cannot_stop_a_load_a_build_or_a_nightly_flow(agency: Agency) -> None:
    deliver(agency, "2026-02-01")
    loading, building = agency.by("loading"), agency.by("building")
    with agency.connection("acme_bi") as client, client.transaction():
        for key in ("431316560225", "hashtext('media marts')", "hashtext('media views')", "6510615423"):
            client.execute(f"select pg_advisory_lock({key})".encode())
        client.execute(b"select pg_advisory_lock(hashtext('agency'), hashtext('desk/2026-02-01.csv'))")
        for table in PROTECTED:
            rows(client, table)
        for statement in (
            *(f"lock table media.{table} in row share mode" for table in PROTECTED),
            *(
                f"lock table media_ops.{lock}_lock in exclusive mode"
                for lock in ("marts", "views", "nightly_flow")
            ),
            "select media_ops.lock_object('agency', 'desk/2026-02-01.csv')",
            "insert into media_ops.objects_loading values ('agency', 'desk/2026-02-01.csv')",
            "select 1 from media.clients for key share",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), client.transaction():
                client.execute(statement.encode())
        with only_nightly_flow(loading.database):
            assert "1 object, 12 rows loaded" in loading.run("load").stdout
        done = agency.dbt("build", options=LOCK_TIMEOUT)
        assert done.returncode == 0, done.stdout
        assert "nothing to change" in agency.product.run("migrate").stdout
        assert "0 failed" in building.run("transform").stdout


def test_no_lock_of_ours_is_an_advisory_lock() -> None:
    """Everyone who can log in may hold those. Only the first migration uses one: there are no clients yet."""
    files = [
        file for folder in ("loader", "macros", "models", "flows") for file in (CHECKOUT / folder).rglob("*")
    ]
    found = [
        file.name
        for file in files
        if file.suffix in (".py", ".sql") and "pg_advisory" in file.read_text(encoding="utf-8")
    ]
    assert found == ["migrate.py"]


@pytest.mark.any_postgres
def test_no_timeout_of_the_server_ends_the_lock_of_a_nightly_flow(database: Database) -> None:
    with connect(database, autocommit=True) as connection:
        for setting in ("idle_session_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"):
            if connection.execute("select 1 from pg_settings where name = %s", [setting]).rowcount:
                name = connection.info.dbname
                connection.execute(f"alter database {name} set {setting} = '100ms'".encode())
    with only_nightly_flow(database) as lock:
        time.sleep(0.5)
        lock.check()
        with (
            pytest.raises(NightlyError, match=r"another nightly .* \(media of .*, pid \d+, since "),
            only_nightly_flow(database),
        ):
            pass


def test_a_nightly_flow_notices_that_its_lock_is_gone(database: Database) -> None:
    with only_nightly_flow(database) as lock, connect(database, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_locks"
            " where relation = 'media_ops.nightly_flow_lock'::regclass"
        )
        with pytest.raises(NightlyError, match="another nightly flow may have started"):
            lock.check()


def test_a_change_that_waits_for_a_reader_lets_others_read_and_gives_up(database: Database) -> None:
    change = (
        "select media_ops.run_when_free('media.clients', 'lock table media.clients in access exclusive mode',"
        " at_most => '2 seconds', pause => '0.5 seconds')"
    )
    with connect(database) as reader, connect(database) as changing, ThreadPoolExecutor() as pool:
        reader.execute("select * from media.clients")
        changed = pool.submit(changing.execute, change)
        with connect(database, autocommit=True) as other:
            other.execute("set lock_timeout = '10s'")
            while not changed.done():
                other.execute("select * from media.clients")
                time.sleep(0.05)
        with pytest.raises(psycopg.errors.LockNotAvailable) as error:
            changed.result()
        assert f"media.clients is in use by media (pid {reader.info.backend_pid} of " in str(error.value)
        changing.rollback()
        reader.rollback()
        changing.execute(change)


def test_a_deadlock_is_found_and_does_not_last_until_the_time_limit(database: Database) -> None:
    """So a turn of run_when_free has to be longer than deadlock_timeout."""
    lock = "select media_ops.run_when_free('{0}', 'lock table {0} in exclusive mode')"
    marts, views = "media_ops.marts_lock", "media_ops.views_lock"
    with connect(database) as one, connect(database) as other, ThreadPoolExecutor() as pool:
        one.execute(lock.format(marts).encode())
        other.execute(lock.format(views).encode())
        waiting = [
            pool.submit(one.execute, lock.format(views).encode()),
            pool.submit(other.execute, lock.format(marts).encode()),
        ]
        errors = [one_of_both.exception(timeout=60) for one_of_both in waiting]
        assert sorted(map(type, errors), key=str) == [type(None), psycopg.errors.DeadlockDetected]
