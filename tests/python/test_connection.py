"""Which database a command uses, connections with a role, and migration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pooler import pooled

from loader.database import binaries
from loader.database.choice import database
from loader.database.connection import Database, connect, require_tables
from loader.database.migrate import migrate
from loader.database.server import Server
from loader.errors import MediaError

pytestmark = pytest.mark.any_postgres


@pytest.fixture
def database_in_environment(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Sets PG* to an empty database."""
    for name, value in empty_database.env.items():
        monkeypatch.setenv(name, value)
    return empty_database


def test_pg_variables_choose_the_database(database_in_environment: Database) -> None:
    env = database_in_environment.env
    with database() as found:
        expected = f"PostgreSQL at {env['PGHOST']}:{env['PGPORT']}/{env['PGDATABASE']} as media"
        assert found.description == expected
        with connect(found) as connection:
            assert connection.info.dbname == env["PGDATABASE"]
            assert str(connection.info.timezone) == "UTC"
            assert connection.info.parameter_status("application_name") == "media"


def test_the_settings_of_a_service_file_are_passed_to_dbt(
    database_in_environment: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = database_in_environment.env
    for name in env:
        monkeypatch.delenv(name)
    service = tmp_path / "services"
    service.write_text(
        f"[agency]\nhost={env['PGHOST']}\nport={env['PGPORT']}\nuser=media\ndbname={env['PGDATABASE']}\n"
    )
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGSERVICE", "agency")
    with database() as found:
        assert {name: found.env[name] for name in env} == dict(env)


def test_a_directory_takes_precedence_over_the_environment(
    database_in_environment: Database, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICE", "nowhere")
    with database(short_directory / "other") as found:
        assert found.description.startswith("embedded PostgreSQL 18")
        assert "PGSERVICE" not in found.environ()
        assert os.environ["PGHOST"] == found.env["PGHOST"] != database_in_environment.env["PGHOST"]
        with connect(found) as connection:
            assert connection.info.dbname == "media"
    assert os.environ["PGSERVICE"] == "nowhere"
    assert os.environ["PGHOST"] == database_in_environment.env["PGHOST"]


@pytest.mark.parametrize(
    ("name", "value"), [("PGPORT", "1"), ("PGHOST", "/nowhere"), ("PGDATABASE", "none"), ("PGPORT", "many")]
)
def test_an_unreachable_server_is_reported_in_one_sentence(
    database_in_environment: Database, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(MediaError, match=r"^cannot connect to PostgreSQL: [^\n]+$"), database():
        pass


def test_a_command_requires_the_current_tables(empty_database: Database) -> None:
    with connect(empty_database) as connection:
        with pytest.raises(MediaError, match="run `media migrate`"):
            require_tables(connection)
        migrate(connection)
        require_tables(connection)
        connection.execute("update media_ops.applied_schema set digest = 'older'")
        with pytest.raises(MediaError, match="run `media migrate`"):
            require_tables(connection)


def test_a_connection_uses_the_requested_role(database: Database, empty_database: Database) -> None:
    for role in ("media_loader", "media_transformer"):
        with connect(database, role) as connection:
            require_tables(connection)
            assert connection.execute("select current_user").fetchone() == (role,)
            connection.rollback()
            assert connection.execute("select current_user").fetchone() == (role,)
    with pytest.raises(MediaError, match="has no role media_absent: run `media migrate`"):
        connect(empty_database, "media_absent")


def test_a_login_without_the_role_is_told_how_to_get_it(database: Database, server: Server) -> None:
    with server.connect("postgres") as connection:
        connection.execute("drop role if exists outsider")
        connection.execute("create role outsider login")
    outsider = Database(database.description, {**database.env, "PGUSER": "outsider"})
    with pytest.raises(MediaError, match="run `grant media_loader to outsider`"):
        connect(outsider, "media_loader")


def test_migrating_twice_changes_nothing(empty_database: Database) -> None:
    with connect(empty_database) as connection:
        assert migrate(connection)
        connection.commit()
        before = _dump(empty_database)
        assert not migrate(connection)
        connection.commit()
        assert _dump(empty_database) == before


def _dump(database: Database) -> list[str]:
    dump = subprocess.check_output([binaries.wheel() / "pg_dump"], env=database.environ(), text=True)
    return [line for line in dump.splitlines() if "restrict" not in line]  # a random word in each dump


def test_migrate_upgrades_an_older_database(database: Database) -> None:
    with connect(database) as connection:
        connection.execute("drop table media_ops.rejected_rows")
        connection.execute("drop index media.idx_clients_name")
        assert migrate(connection)
        assert not migrate(connection)


def test_migrate_gives_up_after_the_lock_timeout_and_names_the_session(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.database.migrate.LOCK_TIMEOUT", "200ms")
    with connect(database) as connection, connect(database) as reader:
        connection.execute("drop index media.idx_clients_name")
        connection.commit()
        reader.execute("lock table media.clients in access exclusive mode")
        with pytest.raises(MediaError, match=rf"media of media \(pid {reader.info.backend_pid}, since"):
            migrate(connection)
        connection.rollback()
        reader.rollback()
        assert migrate(connection)


def test_a_login_that_may_not_migrate_gets_an_error(empty_database: Database, server: Server) -> None:
    name = empty_database.env["PGDATABASE"]
    with server.connect("postgres") as connection:
        connection.execute("drop role if exists owner_of_all")
        connection.execute("create role owner_of_all login")
        connection.execute(f"alter database {name} owner to owner_of_all")
    owner = Database(empty_database.description, {**empty_database.env, "PGUSER": "owner_of_all"})
    with connect(owner) as connection, pytest.raises(MediaError, match="owner_of_all may not"):
        migrate(connection)


@pytest.mark.parametrize("by_transaction", [True, False], ids=["transaction mode", "session mode"])
def test_a_pooler_has_to_keep_a_connection_for_the_session(
    server: Server, database: Database, by_transaction: bool
) -> None:
    with pooled(server, by_transaction) as port:
        env = {**database.env, "PGHOST": "127.0.0.1", "PGPORT": f"{port}"}
        behind = Database("the pooler", env)
        if not by_transaction:
            with connect(behind, "media_loader", autocommit=True) as connection:
                assert connection.execute("select current_user").fetchone() == ("media_loader",)
            return
        with pytest.raises(
            MediaError, match=f"the pooler at 127.0.0.1:{port} gives each transaction another"
        ):
            connect(behind)
