"""The product under test: runs its commands, and reads its tables for comparison with the model."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import psycopg
import yaml
from conftest import MEDIA, S3, TEMPLATE, _fresh
from dbt.cli.main import dbtRunner
from moto.s3.models import s3_backends
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from loader import cli
from loader.database.connection import Database, connect
from loader.database.server import Server
from loader.files.feeds import read_feeds
from loader.ingestion.ingest import ingest
from loader.ingestion.load import by_key, plan
from loader.ingestion.s3 import connect_s3
from loader.nightly.transform import _profiles
from loader.project import CHECKOUT

Completed = subprocess.CompletedProcess[str]
MARTS = (
    "campaigns",
    "strategies",
    "placements",
    "creatives",
    "daily_metrics",
    "weekly_summaries",
    "monthly_summaries",
)
LOADER_TABLES = ("media.clients", "media.client_settings", "media.ingestion_logs", "media.staging_media_raw")
TABLES = (*LOADER_TABLES, "media_ops.rejected_rows", *(f"media.{mart}" for mart in MARTS))
BUCKET = "drops"
VERSIONED = "vault"
"""A bucket that keeps all versions of its objects."""
DROP_MARTS = """
do $$
declare
    relation record;
begin
    for relation in
        select format('%I.%I', pg_namespace.nspname, pg_class.relname) as name,
            case pg_class.relkind when 'v' then 'view' else 'table' end as kind
        from pg_class
        join pg_namespace on pg_namespace.oid = pg_class.relnamespace
        where pg_class.relkind in ('r', 'v') and pg_get_userbyid(pg_class.relowner) = 'media_transformer'
    loop
        execute format('drop %s if exists %s cascade', relation.kind, relation.name);
    end loop;
    truncate media_ops.days_built;
end
$$
"""
fresh_database = contextmanager(_fresh)  # for tests that need several databases


@dataclass(frozen=True)
class Product:
    """One database, one S3 and one feeds.yml, with the commands of docs/commands.md."""

    database: Database
    s3: S3
    feeds_file: Path
    dbt_files: Path
    """Where the dbt projects for this database are, with dbt's parse cache."""

    def feeds(self, feeds: Mapping[str, Any]) -> None:
        """Writes feeds.yml."""
        self.feeds_file.write_text(yaml.safe_dump({"feeds": dict(feeds)}, sort_keys=False), encoding="utf-8")

    @property
    def project(self) -> Path:
        """A dbt project with seeds of its own; the rest links to the checkout."""
        directory = self.dbt_files / self.feeds_file.stem
        if not (directory / "seeds").exists():
            directory.mkdir(parents=True, exist_ok=True)
            shutil.copytree(CHECKOUT / "seeds", directory / "seeds")
            for name in ("dbt_project.yml", "models", "macros", "tests"):
                (directory / name).symlink_to(CHECKOUT / name)
        return directory

    def discard_parsed(self) -> None:
        """Deletes dbt's parse cache: dbt does not notice every change that is undone in a model."""
        for target in self.dbt_files.glob("*/target*"):
            shutil.rmtree(target)

    def remove_projects(self) -> None:
        """Removes the projects, but keeps dbt's parse cache for the next database of this name."""
        if any(models.is_dir() and not models.is_symlink() for models in self.dbt_files.glob("*/models")):
            self.discard_parsed()
        for path in self.dbt_files.glob("*/*"):
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif not path.name.startswith("target"):
                shutil.rmtree(path)

    def aliases(self, aliases: Iterable[Sequence[str]]) -> None:
        """Writes seeds/name_aliases.csv."""
        with (self.project / "seeds" / "name_aliases.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("client", "level", "name", "stands_for"), *aliases])

    def put(self, key: str, content: bytes, last_modified: datetime, bucket: str = BUCKET) -> str:
        """Puts an object with this last-modified time, in whole seconds of UTC; returns its ETag."""
        etag = self.s3.put(key, content, bucket)
        self.stored(bucket)[key].last_modified = last_modified.replace(tzinfo=None)
        return etag

    def delete(self, key: str, last_modified: datetime, bucket: str = BUCKET) -> None:
        """Deletes an object; in the versioned bucket this adds a delete marker."""
        self.s3.client.delete_object(Bucket=bucket, Key=key)
        if bucket == VERSIONED:
            self.stored(bucket)[key].last_modified = last_modified.replace(tzinfo=None)

    def stored(self, bucket: str) -> Any:
        """Returns moto's objects by key: a versioned key's latest version, or its delete marker."""
        (backend,) = s3_backends.values()  # the server runs in this process
        return backend["aws"].buckets[bucket].keys

    def run(self, *arguments: str, expect: Collection[int] = (0,), process: bool = False) -> Completed:
        """Runs `media`, in this process or in a subprocess; returns its output.

        Fails on an exit code that is not in `expect`, and on a traceback.
        """
        done = self.run_in_subprocess(arguments) if process else self.run_in_process(arguments)
        output = f"media {' '.join(arguments)} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode in expect, output
        assert "Traceback" not in done.stderr, output
        return done

    @property
    def env(self) -> dict[str, str]:
        """The environment of all commands; dbt writes its files outside the checkout."""
        return self.env_of(())

    def env_of(self, arguments: Sequence[str]) -> dict[str, str]:
        """Returns the environment of one command."""
        own = {
            "MEDIA_FEEDS": str(self.feeds_file),
            "DBT_PROJECT_DIR": str(self.project),
            "DBT_TARGET_PATH": str(self.project / target_for(arguments)),
            # no test reads these files, and writing them takes a fifth of a build
            "DBT_LOG_LEVEL_FILE": "none",
            "DBT_WRITE_JSON": "false",
        }
        return {**self.database.environ(), **self.s3.env, **own, "NO_COLOR": "1"}

    def run_in_subprocess(self, arguments: Sequence[str]) -> Completed:
        """Runs the command in a subprocess, as a shell does."""
        return subprocess.run(
            [MEDIA, *arguments],
            env=self.env_of(arguments),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def run_in_process(self, arguments: Sequence[str]) -> Completed:
        """Runs the command in this process, which saves seconds: Python and dbt are loaded already."""
        with self.environment(arguments) as (out, err), patch.object(sys, "argv", ["media", *arguments]):
            code = 0
            try:
                cli.main()
            except SystemExit as done:
                code = int(done.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    @contextmanager
    def environment(self, arguments: Sequence[str] = ()) -> Iterator[tuple[io.StringIO, io.StringIO]]:
        """Gives this process the environment of a command, and captures its output."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.env_of(arguments), clear=True),
            redirect_stdout(out),
            redirect_stderr(err),
            warnings.catch_warnings(action="ignore"),  # dbt's own
        ):
            yield out, err

    def dbt(self, *arguments: str) -> bool:
        """Runs dbt itself, without the loader; returns whether it succeeded."""
        with self.environment(arguments) as (out, _), _profiles() as profiles:
            given = ["--project-dir", str(self.project), "--profiles-dir", str(profiles)]
            done = dbtRunner().invoke([*arguments, *given])
            assert not done.exception, done.exception
        print(out.getvalue())  # pytest shows this if the test fails
        return done.success

    def load_as_the_nightly_flow(self) -> None:
        """Loads as the nightly flow does: also retries files whose unknown client has been added."""
        with self.environment():
            client = connect_s3()
            tasks, failures = plan(self.database, client, read_feeds(self.feeds_file), retry="clients")
            with ThreadPoolExecutor(2) as pool:
                load = partial(ingest, self.database, client)
                list(pool.map(lambda group: [load(task) for task in group], by_key(tasks)))
            client.close()
        assert not failures, failures

    def load(
        self,
        feed: str | None = None,
        key: str | None = None,
        retry: bool = False,
        expect: Collection[int] = (0,),
        process: bool = False,
    ) -> Completed:
        """Runs `media load`; `expect` must contain 1 if an object fails."""
        options = [("--feed", feed), ("--key", key)]
        given = [text for name, value in options if value is not None for text in (name, value)]
        return self.run("load", *given, *(["--retry"] if retry else []), expect=expect, process=process)

    def transform(self, rebuild_from: date | None = None, process: bool = False) -> None:
        """Runs `media transform`."""
        since = ["--rebuild-from", f"{rebuild_from}"] if rebuild_from else []
        self.run("transform", *since, process=process)

    def in_parallel(self, *commands: Callable[..., object]) -> None:
        """Runs several commands at the same time, each in its own process."""
        with ThreadPoolExecutor(len(commands)) as pool:
            for future in [pool.submit(command, process=True) for command in commands]:
                future.result()

    def add_client(self, name: str) -> str:
        """Adds a client; returns its id."""
        self.run("clients", "add", name)
        (client,) = self.query("select id::text as id from media.clients where name = %s", name)
        return str(client["id"])

    def set_cpm(self, client: str, cpm: Decimal, since: date | None) -> None:
        """Sets a CPM by command; `client` is a name."""
        self.run("cpm", "set", client, f"{cpm}", *(["--from", f"{since}"] if since else []))

    def remove_cpm(self, client: str, since: date | None) -> None:
        """Removes a CPM by command; `client` is a name."""
        self.run("cpm", "remove", client, *(["--from", f"{since}"] if since else []))

    def retract(self, run: str) -> None:
        """Retracts a run by its id."""
        self.run("retract", run)

    def query(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Runs SQL as the database's owner; returns rows, with ids as text and JSON numbers as Decimal."""
        with self.connection() as connection:
            done = connection.execute(statement.encode(), values or None)
            return [with_text_ids(row) for row in done.fetchall()] if done.description else []

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """Opens a connection."""
        with connect(self.database) as opened:
            opened.row_factory = dict_row  # type: ignore[assignment]
            set_json_loads(partial(json.loads, parse_float=Decimal), opened)
            yield opened  # type: ignore[misc]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Reads all rows of TABLES, each with its xmin; a table that does not exist yet has none."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self.connection() as connection:
            connection.autocommit = False
            for name in TABLES:
                schema, table = name.split(".")
                exists = connection.execute("select to_regclass(%s) as oid", [name]).fetchone()
                select = sql.SQL("select xmin::text, * from {}").format(sql.Identifier(schema, table))
                rows = connection.execute(select).fetchall() if exists and exists["oid"] else []
                found[table] = [with_text_ids(row) for row in rows]
        return found

    def writes(self) -> dict[str, tuple[int, int, int]]:
        """Returns how many rows sessions that have ended inserted, updated and deleted in each mart."""
        found = self.query(
            "select relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables"
            " where schemaname = 'media' and relname = any(%s)",
            list(MARTS),
        )
        return {row["relname"]: (row["n_tup_ins"], row["n_tup_upd"], row["n_tup_del"]) for row in found}

    def drop_marts(self) -> None:
        """Drops everything that dbt built, and the record of it, for a build from scratch."""
        self.query(DROP_MARTS)


def target_for(arguments: Sequence[str]) -> str:
    """Returns a target directory per set of vars: dbt parses everything again when they change."""
    for first in ("transform", "--vars"):
        if first in arguments:
            words = arguments[arguments.index(first) + 1 :]
            return "-".join(["target", *(re.sub(r"\W+", "_", word) for word in words)])
    return "target"


def with_text_ids(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a row with ids as text."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}


@contextmanager
def fresh_product(server: Server, s3: S3, directory: Path, template: str = TEMPLATE) -> Iterator[Product]:
    """Yields a product with a new database, copied from the template, and empty buckets."""
    with fresh_database(server, template) as database:
        name = database.env["PGDATABASE"]
        # Database names are reused, so that dbt parses once per name: it compares the whole profile.
        dbt_files = directory.parent / "dbt" / f"{server.port}-{name}"
        opened = Product(database, s3, directory / f"{name}.yml", dbt_files)
        s3.bucket(BUCKET)
        s3.versioned_bucket(VERSIONED)
        yield opened
        opened.remove_projects()
        for bucket in (BUCKET, VERSIONED):
            opened.stored(bucket).clear()
            s3.client.delete_bucket(Bucket=bucket)
