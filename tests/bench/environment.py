"""The benchmark's environment: PostgreSQL with the product's own settings, and moto in another process."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import boto3
import psycopg

from loader.database import binaries
from loader.database.connection import Database, connect
from loader.database.embedded import Embedded
from loader.database.migrate import migrate
from loader.database.server import Server, port_is_free
from loader.project import CHECKOUT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "bench"
MEDIA = Path(sys.executable).with_name("media")
CLEARED_PREFIXES = ("PG", "AWS_", "MEDIA_", "DBT_", "PREFECT_")
DELETE_LOADS = """
truncate media.ingestion_logs, media.staging_media_raw, media_ops.rejected_rows, media_ops.run_days cascade
"""
DROP_BUILDS = """
do $$
declare
    relation record;
begin
    for relation in
        select format('%I.%I', nspname, relname) as name,
            case relkind when 'v' then 'view' else 'table' end as kind
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where relkind in ('r', 'v') and pg_get_userbyid(relowner) = 'media_transformer'
    loop
        execute format('drop %s if exists %s cascade', relation.kind, relation.name);
    end loop;
end
$$;
truncate media_ops.days_built
"""


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """The time and memory that a process used."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Bench:
    """The servers, and the environment for the product's commands."""

    directory: Path
    server: Server
    programs: Path
    s3: S3Client
    env: Mapping[str, str]

    def database(self, name: str) -> Database:
        """Returns the database of that name, which need not exist."""
        return Database(name, {**self.server.environment(), "PGDATABASE": name})

    def exists(self, name: str) -> bool:
        """Returns whether the database exists, from an earlier run with --keep."""
        with closing(self.server.connect("postgres")) as connection:
            return bool(connection.execute("select from pg_database where datname = %s", [name]).rowcount)

    def new_database(self, name: str) -> Database:
        """Creates a migrated database; drops an existing one of that name."""
        with closing(self.server.connect("postgres")) as connection:
            connection.execute(f"drop database if exists {name} with (force)")
            connection.execute(f"create database {name} template template0")
        db = self.database(name)
        with closing(connect(db)) as connection:
            migrate(connection)
        return db

    def sql(self, db: Database, *statements: str) -> None:
        """Runs statements as the owner."""
        with closing(connect(db, autocommit=True)) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def value(self, db: Database, query: str) -> int:
        """Returns the single number that a query selects."""
        with closing(connect(db, autocommit=True)) as connection:
            found = connection.execute(query.encode()).fetchone()
        assert found is not None
        return int(found[0] or 0)

    def media(self, db: Database, *arguments: str) -> ProcessCost:
        """Runs one of the product's commands as a subprocess."""
        return self.run(db, str(MEDIA), *arguments)

    def psql(self, db: Database, *arguments: str) -> ProcessCost:
        """Runs psql; stops at the first error."""
        return self.run(db, str(self.programs / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments)

    def run(self, db: Database, *command: str) -> ProcessCost:
        """Runs a command on a database and waits for it; exits with the end of its output if it fails."""
        log = self.directory / "output.log"
        with log.open("wb") as output:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=CHECKOUT, env={**self.env, **db.env, "DBT_TARGET_PATH": self._target(db)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
        return ProcessCost(seconds, usage.ru_maxrss / 1024)

    def _target(self, db: Database) -> str:
        """Returns the database's dbt target directory: dbt parses everything again for another profile."""
        return str(self.directory / "target" / db.env["PGDATABASE"])

    def checkpoint(self, db: Database) -> None:
        """Writes dirty pages to disk, so that the next measurement does not include it."""
        self.sql(db, "checkpoint")

    def put(self, key: str, file: Path) -> None:
        """Puts a file into S3."""
        with file.open("rb") as body:
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def empty_bucket(self) -> None:
        """Removes all objects."""
        for obj in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.s3.delete_object(Bucket=BUCKET, Key=obj["Key"])


@contextmanager
def running_bench(feeds: str, keep: Path | None, programs: Path | None) -> Iterator[Bench]:
    """Runs the servers for the duration of the block, in a temporary directory or in `keep`.

    `programs` is the directory of another PostgreSQL's programs.
    """
    for name in [name for name in os.environ if name.startswith(CLEARED_PREFIXES)]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="media-bench-") as temporary, _moto() as url:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "feeds.yml").write_text(feeds)
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MEDIA_FEEDS": str(directory / "feeds.yml"),
            "DBT_LOG_PATH": str(directory / "logs"),
            "PREFECT_HOME": str(directory / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",
            "DO_NOT_TRACK": "1",
        }
        embedded = Embedded(directory / "database", programs or binaries.wheel())
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        with embedded.lease() as server:
            yield Bench(directory, server, embedded.programs, client, dict(os.environ))
        embedded.stop()


@contextmanager
def _moto() -> Iterator[str]:
    """Runs moto's server in another process: in this one the two would share the GIL."""
    port = next(port for port in range(5600, 5700) if port_is_free(port))
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
                break
            except (URLError, ConnectionError):
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def write_counters(connection: psycopg.Connection) -> tuple[int, int]:
    """Returns the bytes of write-ahead log and the number of rows in our tables written so far."""
    connection.execute("select pg_stat_force_next_flush()")
    found = connection.execute(
        """
        select
            pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint,
            (
                select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint
                from pg_stat_user_tables where schemaname like 'media%'
            )
        """
    ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])
