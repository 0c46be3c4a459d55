"""Databases and connections with another encoding than UTF-8."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from conftest import S3
from product import Product, fresh_product
from psycopg import sql
from test_load import FEED, KEY, NOON, lines

from loader.database import choice
from loader.database.connection import Database, connect, require_tables
from loader.database.migrate import migrate
from loader.database.server import Server
from loader.errors import MediaError

NAME = "Łódź 東京 …"
COMMANDS = ("migrate", "load", "transform", "nightly", "status", "rejects", "clients list", "db psql")


def drop(server: Server, *names: str) -> None:
    with server.connect("postgres") as connection:
        for name in names:
            connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(name)))


@pytest.fixture(params=["LATIN1", "SQL_ASCII", "EUC_JP"])
def other_encoding(server: Server, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Yields a database with another encoding."""
    name = f"in {request.param}"
    with server.connect("postgres") as connection:
        create = "create database {} encoding {} locale 'C' template template0"
        connection.execute(sql.SQL(create).format(sql.Identifier(name), request.param))
    yield Database(name, {**server.environment(), "PGDATABASE": name})
    drop(server, name, f"{name}_utf8")


@pytest.mark.any_postgres
def test_a_database_with_another_encoding_is_refused_and_the_message_creates_one_that_works(
    server: Server, other_encoding: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in other_encoding.env.items():
        monkeypatch.setenv(name, value)
    encoding = other_encoding.description.removeprefix("in ")
    with pytest.raises(MediaError, match=f"has the encoding {encoding}") as error, choice.database():
        pass
    (statement, command) = re.findall("`(.+?)`", str(error.value))
    assert command == "media migrate"
    with server.connect("postgres") as connection:
        connection.execute(statement.encode())
    monkeypatch.setenv("PGDATABASE", re.findall("PGDATABASE=(.*?),", str(error.value))[0])
    with choice.database() as found, connect(found) as connection:
        assert migrate(connection)
        require_tables(connection)


def test_every_command_refuses_a_database_with_another_encoding(
    server: Server, s3: S3, tmp_path: Path
) -> None:
    with server.connect("postgres") as connection:
        connection.execute("create database ascii encoding 'SQL_ASCII' locale 'C' template template0")
    found = Database("ascii", {**server.environment(), "PGDATABASE": "ascii"})
    product = Product(found, s3, tmp_path / "feeds.yml", tmp_path / "dbt")
    product.feeds({})
    for command in COMMANDS:
        failed = product.run(*command.split(), expect={1}).stderr
        assert "has the encoding SQL_ASCII" in failed and failed.count("\n") == 1
    drop(server, "ascii")


SETTINGS: Mapping[str, tuple[Mapping[str, str], str]] = {
    "PGCLIENTENCODING": ({"PGCLIENTENCODING": "LATIN1"}, ""),
    "an unknown PGCLIENTENCODING": ({"PGCLIENTENCODING": "none"}, ""),
    "PGOPTIONS": ({"PGOPTIONS": "-c client_encoding=LATIN1"}, ""),
    "the database's setting": ({}, "alter database {database} set client_encoding = 'LATIN1'"),
    "the login's setting": ({}, "alter role media in database {database} set client_encoding = 'SQL_ASCII'"),
}


@pytest.mark.any_postgres
@pytest.mark.parametrize("where", SETTINGS)
def test_our_connections_use_utf_8_whatever_is_set(
    database: Database, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    env, statement = SETTINGS[where]
    with connect(database, autocommit=True) as connection:
        connection.execute(statement.format(database=connection.info.dbname).encode())
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with connect(database) as connection:
        assert connection.execute("show client_encoding").fetchone() == ("UTF8",)
        assert connection.execute("select %s::text", [NAME]).fetchone() == (NAME,)


def test_loads_and_builds_work_with_another_client_encoding_and_dbt_itself_refuses_it(
    server: Server, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_product(server, s3, tmp_path) as product:
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
        database_name = product.database.env["PGDATABASE"]
        product.query(f"alter database {database_name} set client_encoding = 'LATIN1'")
        product.run("migrate")
        product.add_client(NAME)
        product.aliases([(NAME, "campaign", f"{NAME}, old", NAME)])
        product.feeds({"ttd": FEED})
        product.put(KEY, lines(f'2025-01-02,{NAME},"{NAME}, old",5'), NOON)
        product.load()
        warned = product.run("transform").stdout  # about the missing CPM
        assert product.query("select name from media.campaigns") == [{"name": NAME}]
        assert NAME in warned and os.environ["PGCLIENTENCODING"] == "LATIN1"
        with pytest.raises(AssertionError, match=r"client encoding LATIN1.*: set PGCLIENTENCODING=UTF8"):
            product.dbt("build")
        monkeypatch.setenv("PGCLIENTENCODING", "UTF8")
        assert product.dbt("build")
