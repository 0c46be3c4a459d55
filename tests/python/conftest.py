"""Shared fixtures: a real PostgreSQL, moto's S3 over HTTP, and `media` as a subprocess.

A test marked `any_postgres` also runs on the system's PostgreSQL, if there is one.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from forked import ForkedProcess
from moto.server import ThreadedMotoServer
from xdist.scheduler.loadscope import LoadScopeScheduling  # type: ignore[import-untyped]

from loader.database import binaries
from loader.database.connection import Database, connect
from loader.database.embedded import Embedded
from loader.database.migrate import migrate
from loader.database.server import Server
from loader.project import CHECKOUT

if TYPE_CHECKING:
    from access import Agency
    from mypy_boto3_s3 import S3Client

MEDIA, DBT = (Path(sys.executable).with_name(name) for name in ("media", "dbt"))
# Without fsync, only a crash of the whole machine loses data; a killed server loses nothing.
SETTINGS = {"fsync": "off", "shared_buffers": "64MB", "max_wal_size": "1GB", "timezone": "UTC"}
TEMPLATE = "migrated"
SLOWEST_FILES = (
    *("test_faults_kill", "test_cli", "test_histories", "test_faults_postgres", "test_faults_builds"),
    *("test_demo", "test_nightly", "test_faults_s3", "test_transform", "test_aliases", "test_plans"),
    "test_fuzz_bounds",
)
"""Test files whose tests take longest, slowest first."""
_names_in_use: set[str] = set()
# dbt creates many objects and frees few: at the default threshold, garbage collection took 15 % of a build.
gc.set_threshold(100_000, 50, 100)


def system_programs() -> Path | None:
    """Returns the directory of the system's newest PostgreSQL programs, or None."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if initdb := shutil.which("initdb"):
        found.append(Path(initdb).resolve().parent)
    usable = [path for path in found if (path / "postgres").exists()]
    return max(usable, key=binaries.major_version, default=None)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs each test on the embedded server, and a test marked `any_postgres` on the system's as well."""
    for fixture in {"server", "agency"} & set(metafunc.fixturenames):
        programs: list[Path | None] = [None]
        if metafunc.definition.get_closest_marker("any_postgres") and (system := system_programs()):
            programs.append(system)
        names = ["embedded" if path is None else f"system{binaries.major_version(path)}" for path in programs]
        metafunc.parametrize(fixture, programs, ids=names, indirect=True, scope="session")


class GroupedScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Distributes tests one by one, but keeps tests that share an expensive fixture on one worker.

    xdist's own marker for this, xdist_group, has no effect with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        name, _, parameters = nodeid.partition("[")
        shared = re.search("test_access|test_transform|postgresql_crash", name)
        server = re.match(r"embedded|system\d+|", parameters)
        return f"{shared[0]} {server and server[0]}" if shared else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Returns one worker more than there are cores, because many tests wait for a process or a lock."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupedScheduling:
    """Replaces xdist's scheduler."""
    return GroupedScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts the slowest tests first, so that no worker has one left at the end."""
    items.sort(
        key=lambda item: (
            SLOWEST_FILES.index(item.path.stem) if item.path.stem in SLOWEST_FILES else len(SLOWEST_FILES)
        )
    )


@pytest.fixture(scope="session", autouse=True)
def _clean_environment() -> Iterator[None]:
    """Removes variables that could point the tests at a real database or S3."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("PG", "AWS_", "MEDIA_", "DBT_", "PREFECT_")):
                patch.delenv(name)
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        yield


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """Yields a temporary directory whose path is short enough for a socket; one per worker."""
    with tempfile.TemporaryDirectory(prefix="media-test-") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def start(short_directory: Path) -> Iterator[Callable[[Path | None], Server]]:
    """Yields `start(programs)`, which starts this worker's server once and keeps it until the end."""
    with ExitStack() as running:

        @functools.cache
        def started(programs: Path | None) -> Server:
            name = "embedded" if programs is None else "system"
            embedded = Embedded(short_directory / name, programs or binaries.wheel(), SETTINGS)
            server = running.enter_context(embedded.lease())
            running.callback(embedded.stop)
            with server.connect("postgres") as connection:
                connection.execute(f"create database {TEMPLATE}")
            with connect(_database(server, TEMPLATE)) as connection:
                migrate(connection)
            return server

        yield started


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, start: Callable[[Path | None], Server]) -> Server:
    """Returns this worker's running server, which has a migrated template database."""
    return start(getattr(request, "param", None))


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """Yields a database without the product's tables."""
    yield from _fresh(server, "template0")


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """Yields a freshly migrated database; `database.env` points subprocesses to it."""
    yield from _fresh(server, TEMPLATE)


def _fresh(server: Server, template: str) -> Iterator[Database]:
    name = next(name for number in itertools.count(1) if (name := f"test_{number}") not in _names_in_use)
    _names_in_use.add(name)
    with server.connect("postgres") as connection:
        connection.execute(f"create database {name} template {template}")
    yield _database(server, name)
    with server.connect("postgres") as connection:
        connection.execute(f"drop database {name} with (force)")
    _names_in_use.remove(name)


def _database(server: Server, name: str) -> Database:
    return Database(f"the tests' database {name}", {**server.environment(), "PGDATABASE": name})


@dataclass(frozen=True)
class S3:
    """moto's S3 over HTTP, and a client for it."""

    endpoint: str
    env: Mapping[str, str]
    client: S3Client

    def bucket(self, name: str = "drops") -> str:
        """Creates a bucket; returns its name."""
        self.client.create_bucket(Bucket=name)
        return name

    def versioned_bucket(self, name: str) -> str:
        """Creates a bucket that keeps all versions; returns its name."""
        self.client.put_bucket_versioning(
            Bucket=self.bucket(name), VersioningConfiguration={"Status": "Enabled"}
        )
        return name

    def put(self, key: str, body: bytes | str, bucket: str = "drops") -> str:
        """Puts an object; returns its ETag."""
        content = body.encode() if isinstance(body, str) else body
        return self.client.put_object(Bucket=bucket, Key=key, Body=content)["ETag"]

    @classmethod
    def empty(cls, endpoint: str, patch: pytest.MonkeyPatch) -> Iterator[S3]:
        """Yields an empty S3; sets AWS_* in this process to it."""
        env = {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for name, value in env.items():
            patch.setenv(name, value)
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
        client = boto3.client("s3")
        yield cls(endpoint, env, client)
        client.close()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """Yields the URL of this worker's moto server, on a free port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def agency(request: pytest.FixtureRequest, short_directory: Path, moto_server: str) -> Iterator[Agency]:
    """Yields a database on its own cluster, created, loaded and built by ordinary roles."""
    import access

    programs: Path | None = getattr(request, "param", None)
    directory = short_directory / ("agency" if programs is None else "agency-system")
    directory.mkdir()
    with access.agency(programs, directory, moto_server) as opened:
        yield opened


@pytest.fixture
def s3(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Yields an empty S3; AWS_* in this process's environment point to it."""
    yield from S3.empty(moto_server, monkeypatch)


Media = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def media(database: Database, s3: S3) -> Media:
    """Returns `media(*arguments, env={})`, which runs the command on this database and S3.

    It asserts nothing; the result has returncode, stdout and stderr.
    """

    def run(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**database.environ(), **s3.env, "COLUMNS": "200", "NO_COLOR": "1", **(env or {})}
        process: ForkedProcess | subprocess.Popen[str]
        # Prefect and Python itself read some variables only when they start
        if "nightly" not in arguments and "PYTHONIOENCODING" not in environment:
            process = ForkedProcess("media", arguments, env=environment, directory=CHECKOUT)
        else:
            process = subprocess.Popen(
                [MEDIA, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                cwd=CHECKOUT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(arguments, process.returncode or 0, out, err)

    return run
