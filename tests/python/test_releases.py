"""A database of an earlier release, once migrated, equals a new one.

releases/<version>/   schema/ as that release applied it, marts as its dbt created them, rows for each table
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import S3, TEMPLATE
from product import BUCKET, Product, fresh_database
from test_load import FEED, GOOD, KEY, NOON

from loader.database.connection import Database, connect
from loader.database.migrate import SCHEMA, catalogue, migrate
from loader.database.server import Server
from loader.project import CHECKOUT

RELEASES = sorted((Path(__file__).parent / "releases").iterdir())
EMPTY = "template0"


def differences(old: psycopg.Connection, new: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Returns what only one of two databases has."""
    return sorted(set(catalogue(old)) ^ set(catalogue(new)))


def contents(connection: psycopg.Connection) -> Mapping[str, list[dict[str, Any]]]:
    """Returns all rows of all tables."""
    tables = connection.execute(
        "select format('%I.%I', relnamespace::regnamespace, relname) from pg_class"
        " where relnamespace::regnamespace::text in ('media', 'media_ops') and relkind = 'r'"
    ).fetchall()
    return {
        table: [
            row
            for (row,) in connection.execute(
                f"select to_jsonb(found) from {table} as found order by found::text".encode()
            ).fetchall()
        ]
        for (table,) in tables
    }


def as_released(database: Database, release: Path) -> None:
    """Creates a database as a release did, with rows in every table."""
    with connect(database) as connection:
        migrate(connection, release / "schema")
        connection.commit()
        for file in ("marts.sql", "fill.sql"):
            connection.execute((release / file).read_bytes())


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
@pytest.mark.any_postgres
def test_a_migrated_database_of_an_earlier_release_equals_a_new_one(
    server: Server, s3: S3, tmp_path: Path, release: Path
) -> None:
    with fresh_database(server, EMPTY) as database, fresh_database(server, EMPTY) as other:
        as_released(database, release)
        with connect(database, autocommit=True) as old, connect(other, autocommit=True) as new:
            before = contents(old)
            assert all(before.values()), [table for table, rows in before.items() if not rows]
            assert migrate(old)
            migrate(new)
            new.execute(b"grant references on media.clients to media_transformer")  # as releases did
            new.execute((release / "marts.sql").read_bytes())
            migrate(new)
            assert differences(old, new) == []
            assert not migrate(old)
            after = contents(old)
        for table, rows in before.items():
            if table in after:  # 90_removed.sql names the tables that a release removed
                for row in rows:
                    assert any(row.items() <= now.items() for now in after[table]), (table, row)
        s3.bucket(BUCKET)
        product = Product(database, s3, tmp_path / "feeds.yml", tmp_path)
        product.feeds({"ttd": FEED})
        product.put(KEY, GOOD, NOON)
        assert "2 rows loaded" in product.load().stdout
        assert "ttd" in product.run("status").stdout
        assert "Zeta" in product.run("rejects").stdout


def test_every_release_is_kept() -> None:
    """The next migration is tested from each of them: docs/changing.md, "A migration"."""
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)", changelog, re.MULTILINE)
    assert sorted(released) == [release.name for release in RELEASES]


def replacing(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


STAGING, LOGS = "21_staging_media_raw.sql", "20_ingestion_logs.sql"
LAST = "    created_at timestamp not null default (now() at time zone 'utc')\n);"
EDITS: Mapping[str, tuple[str, Callable[[str], str], tuple[str, str]]] = {
    "a column": (
        STAGING,
        replacing(LAST, LAST[:-3] + ",\n    video_views bigint not null default 0\n);"),
        (
            STAGING,
            "select media_ops.add_column("
            "'media.staging_media_raw', 'video_views', 'bigint not null default 0');",
        ),
    ),
    "an allowed value of a check": (
        "23_feeds.sql",
        replacing("('replace', 'append')", "('replace', 'append', 'merge')"),
        (
            "23_feeds.sql",
            "select media_ops.set_check('media_ops.feeds', 'feeds_redelivery_check',"
            " $$redelivery in ('replace', 'append', 'merge')$$);",
        ),
    ),
    "a removed check": (
        "24_run_days.sql",
        replacing(" check (row_count > 0)", ""),
        (
            "24_run_days.sql",
            "select media_ops.drop_constraint('media_ops.run_days', 'run_days_row_count_check');",
        ),
    ),
    "a default": (
        LOGS,
        replacing("records_failed int not null default 0", "records_failed int not null default 1"),
        (LOGS, "select media_ops.set_default('media.ingestion_logs', 'records_failed', '1');"),
    ),
    "a removed view": (
        "27_running_runs.sql",
        replacing("media_ops.running_runs", "media_ops.runs_at_work"),
        ("90_removed.sql", "drop view if exists media_ops.running_runs;"),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_the_schema_needs_a_migration_step(server: Server, tmp_path: Path, name: str) -> None:
    file, edit, (place, step) = EDITS[name]
    without, complete = tmp_path / "without", tmp_path / "complete"
    shutil.copytree(SCHEMA, without)
    text = (without / file).read_text()
    assert edit(text) != text
    (without / file).write_text(edit(text))
    shutil.copytree(without, complete)
    with (complete / place).open("a") as stream:
        stream.write(f"\n{step}\n")
    with fresh_database(server, EMPTY) as database, connect(database, autocommit=True) as new:
        migrate(new, without)
        assert differences_after_migration(server, new, without)
        assert not migrate(new, complete)
        assert differences_after_migration(server, new, complete) == []


def differences_after_migration(
    server: Server, new: psycopg.Connection, schema: Path
) -> list[tuple[str, str, str]]:
    """Returns how a database of today, migrated to another schema, differs from a new one."""
    with fresh_database(server, TEMPLATE) as database, connect(database, autocommit=True) as old:
        migrate(old, schema)
        return differences(old, new)


@pytest.mark.parametrize(
    "mistake",
    [
        "alter table media.ingestion_logs drop column message, add column message text",
        "alter table media.clients alter column name type varchar(200)",
        "alter table media.clients alter column status drop not null",
        "alter table media.clients alter column name set statistics 7",
        "alter table media.ingestion_logs alter column run_number drop identity",
        "alter sequence media.ingestion_logs_run_number_seq increment by 2",
        "alter table media_ops.run_days add check (row_count < 9) not valid",
        "alter table media_ops.run_days drop constraint run_days_client_id_fkey",
        "alter table media.users disable trigger touch_updated_at",
        "drop index media.idx_clients_name",
        "alter function media_ops.sign_in(text) volatile",
        "grant execute on function media_ops.sign_in(text) to media_reader",
        "grant update (name) on media.clients to media_loader",
        "revoke select on media_ops.cpm_periods from media_loader",
        "comment on view media_ops.cpm_periods is null",
        "comment on column media_ops.cpm_periods.cpm is 'Another.'",
        "comment on function media_ops.sign_in(text) is 'Signs in.'",
        "create type media_ops.kind as enum ('a')",
        "create sequence media_ops.numbers",
        "create policy more on media.clients using (true)",
        "create rule nothing as on delete to media.clients do instead nothing",
        "alter table media_ops.feeds owner to media_transformer",
        "alter default privileges in schema media grant select on tables to media_loader",
        "create statistics media_ops.both on name, location from media_ops.feeds",
        "revoke usage on schema media from media_client",
        "alter role media_client createdb",
        "alter role media_reader connection limit 3",
        "alter role media_loader in database {database} set work_mem = '1MB'",
        "alter default privileges for role media_transformer grant select on tables to media_loader",
        "create domain media_ops.share as numeric check (value <= 1)",
        "create table media_ops.more () inherits (media_ops.run_days)",
    ],
)
def test_the_catalogue_shows_every_difference(database: Database, mistake: str) -> None:
    with connect(database, autocommit=True) as connection, connection.transaction(force_rollback=True):
        before = catalogue(connection)
        connection.execute(mistake.format(database=connection.info.dbname).encode())
        assert catalogue(connection) != before


DECLARED = re.compile(r"create table if not exists (\S+) \((.*?)^\);", re.DOTALL | re.MULTILINE)


def undeclared(schema: Path) -> Iterator[str]:
    """Yields the columns that a step adds but the table's `create table` does not declare."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(schema.glob("*.sql"))]
    declared = dict(table for text in texts for table in DECLARED.findall(text))
    for text in texts:
        for table, column in re.findall(r"media_ops\.add_column\('([\w.]+)', '(\w+)'", text):
            if not re.search(rf"^    {column} ", declared.get(table, ""), re.MULTILINE):
                yield f"{table}.{column} is added by a step, but the `create table` does not have it"


def test_every_column_that_a_step_adds_is_declared_too(tmp_path: Path) -> None:
    assert list(undeclared(SCHEMA)) == []
    (tmp_path / "1.sql").write_text("select media_ops.add_column('media.clients', 'note', 'text');\n")
    assert len(list(undeclared(tmp_path))) == 1


def test_migrate_of_a_current_database_waits_for_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.database.migrate.LOCK_TIMEOUT", "500ms")
    with connect(database) as reader, connect(database) as connection:
        relations = reader.execute(
            "select format('%I.%I', relnamespace::regnamespace, relname), relkind from pg_class"
            " where relnamespace::regnamespace::text in ('media', 'media_ops') and relkind in ('r', 'v')"
        ).fetchall()
        for relation, kind in relations:
            reader.execute(f"select * from {relation}".encode())
            if kind == "r":
                reader.execute(f"lock table {relation} in row exclusive mode".encode())  # as a load does
        assert not migrate(connection)
