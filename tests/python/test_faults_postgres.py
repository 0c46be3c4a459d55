"""PostgreSQL crashes during a load or a build, runs out of disk, or hits a statement timeout."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import yaml
from conftest import MEDIA, S3, SETTINGS, TEMPLATE, _database
from faults import (
    FEED,
    RunningCommand,
    Scenario,
    copied_scenario,
    holding,
    new_scenario,
    rows,
    wait_for_sessions_to_end,
)
from proxy import Fault, Proxy, proxied
from test_faults_s3 import BIG, COPYING, HALF, KEY, Pause

from loader.database import binaries
from loader.database.connection import connect
from loader.database.embedded import Embedded
from loader.database.migrate import migrate
from loader.database.server import Server
from loader.errors import MediaError
from loader.nightly.outcome import only_nightly_flow

# These servers crash, so commits must be on disk.
CRASH_SAFE_SETTINGS = {**SETTINGS, "fsync": "on"}


@dataclass
class OwnServer:
    """A PostgreSQL server that only one test uses, so that it can crash."""

    embedded: Embedded
    server: Server

    def crash(self, how: signal.Signals) -> None:
        """Sends SIGQUIT (an immediate shutdown) to the postmaster, or SIGKILL to all its processes."""
        postmaster = psutil.Process(int(self.server.identity.split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes if how == signal.SIGKILL else [postmaster]:
            process.send_signal(how)
        psutil.wait_procs(processes, timeout=60)

    def start(self) -> None:
        """Starts it again on the same port."""
        self.server = self.embedded.start()


@pytest.fixture
def own(short_directory: Path) -> Iterator[OwnServer]:
    embedded = Embedded(short_directory / "own", binaries.wheel(), CRASH_SAFE_SETTINGS)
    server = embedded.start()
    with server.connect("postgres") as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [TEMPLATE]).fetchone():
            connection.execute(f"create database {TEMPLATE}")
            with connect(_database(server, TEMPLATE)) as fresh:
                migrate(fresh)
    yield OwnServer(embedded, server)
    embedded.stop()


@contextmanager
def scenario_behind_a_proxy(server: Server, s3: S3, directory: Path) -> Iterator[tuple[Scenario, Proxy]]:
    with proxied(s3.endpoint) as proxy:
        behind = replace(s3, env={**s3.env, "AWS_ENDPOINT_URL_S3": proxy.url})
        with new_scenario(server, behind, directory) as scenario:
            yield scenario, proxy


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate shutdown", "kill"])
def test_loads_and_builds_recover_from_a_postgresql_crash(
    own: OwnServer, s3: S3, tmp_path: Path, how: signal.Signals
) -> None:
    with scenario_behind_a_proxy(own.server, s3, tmp_path) as (scenario, proxy):
        product = scenario.product
        scenario.put(KEY, BIG, 2)
        pause = Pause()
        proxy.faults.append(Fault(after=HALF, then=pause.wait))
        loader = RunningCommand(product, "load")
        loader.wait_until("half an object", lambda: pause.waiting == 1)
        loader.wait_until("rows sent by COPY", lambda: bool(product.query(COPYING)))
        own.crash(how)
        pause.end()
        output = loader.finish(1)
        assert KEY in output and "PostgreSQL: " in output and "error ignored" not in output
        own.start()
        scenario.expect_failed_load(KEY)

        scenario.put("a/2.csv", rows(30, "Autumn"), 3)
        product.load()
        scenario.expect_load()
        with holding(product, "lock table media.daily_metrics in share mode") as held:
            build = RunningCommand(product, "transform")
            build.wait_until_blocked(held)
            own.crash(how)
            build.finish(1)
            held.close()
        own.start()
        scenario.load_and_build()


@pytest.fixture
def standby(own: OwnServer, short_directory: Path) -> Iterator[Server]:
    """Yields a hot standby of the test's own server."""
    copy = Embedded(short_directory / "standby", binaries.wheel(), CRASH_SAFE_SETTINGS)
    data = copy.cluster.data
    data.mkdir(mode=0o700, parents=True)
    copy.directory.chmod(0o711)
    (copy.directory / "password").write_text(own.embedded.cluster.password)
    account = binaries.system_account() if os.geteuid() == 0 else None
    if account:
        os.chown(data, account.uid, account.gid)
    source = own.server.environment()
    options = ["-h", source["PGHOST"], "-p", source["PGPORT"], "-U", source["PGUSER"], "-D", data.name]
    command = copy.programs / "pg_basebackup"
    binaries.run(command, *options, "-R", "-c", "fast", cwd=copy.directory, account=account)
    yield copy.start()
    copy.stop()
    shutil.rmtree(copy.directory)


def test_on_a_standby_commands_read_and_say_that_they_cannot_write(
    standby: Server, s3: S3, tmp_path: Path
) -> None:
    s3.bucket()
    database = _database(standby, TEMPLATE)
    feeds = tmp_path / "feeds.yml"
    feeds.write_text(yaml.safe_dump({"feeds": {"a": FEED}}))
    env = {**database.environ(), **s3.env, "MEDIA_FEEDS": f"{feeds}"}
    for command in ("status", "load --dry-run", "clients list", "rejects"):
        done = subprocess.run([MEDIA, *command.split()], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), command
    for command in ("migrate", "load", "transform", "clients add Acme"):
        done = subprocess.run([MEDIA, *command.split()], env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith("the server is read-only"), done.stderr
    with pytest.raises(MediaError, match="read-only"), only_nightly_flow(database):
        pass


def test_a_statement_timeout_fails_the_run_and_the_next_load_succeeds(
    server: Server, s3: S3, tmp_path: Path
) -> None:
    with copied_scenario(server, s3, tmp_path) as scenario:
        scenario.put(KEY, rows(30, "Summer"), 2)
        name = scenario.product.database.env["PGDATABASE"]
        scenario.product.query(f"alter database {name} set statement_timeout = '500ms'")
        with holding(scenario.product, "lock table media.staging_media_raw in share mode"):
            output = scenario.product.load(expect=[1]).stderr
        scenario.product.query(f"alter database {name} reset statement_timeout")
        assert "statement timeout" in output and output.count("\n") == 1
        scenario.expect_failed_load(KEY)
        scenario.load_and_build()


@pytest.fixture
def small_disk(short_directory: Path) -> Iterator[Path]:
    """Yields a file system of two megabytes that the server can write to."""
    place = short_directory / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system for a full disk: {mounted.stderr}")
    try:
        if (account := binaries.system_account()) is not None and os.geteuid() == 0:
            os.chown(place, account.uid, account.gid)
        short_directory.chmod(0o711)
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_fails_the_run_and_the_next_load_succeeds(
    server: Server, s3: S3, tmp_path: Path, small_disk: Path
) -> None:
    with copied_scenario(server, s3, tmp_path) as scenario:
        product = scenario.product
        with server.connect("postgres") as connection:
            connection.execute(f"create tablespace small location '{small_disk}'")
        product.query("alter table media.staging_media_raw set tablespace small")
        scenario.put(KEY, BIG, 2)
        scenario.put("a/2.csv", rows(30, "Autumn"), 3)
        output = product.load(expect=[1]).stderr
        assert "No space left on device" in output and output.count("\n") == 1
        scenario.expect_failed_load(KEY)
        product.query("alter table media.staging_media_raw set tablespace pg_default")
        wait_for_sessions_to_end(product)
        with server.connect("postgres") as connection:
            connection.execute("drop tablespace small")
        scenario.load_and_build()
