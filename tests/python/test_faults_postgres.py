"""PostgreSQL stopped hard under a load or a build, out of disk, out of patience."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from conftest import S3, SETTINGS, TEMPLATE, _database
from faults import Victim, World, a_new_world, a_world, holding, rows, settle
from proxy import Fault, Proxy, proxied
from test_faults_s3 import BIG, COPYING, HALF, KEY, Silence

from loader.database import binaries
from loader.database.connection import connect
from loader.database.embedded import Embedded
from loader.database.migrate import migrate
from loader.database.server import Server

# It is killed here: what a commit promised must be on disk.
OWN = {**SETTINGS, "fsync": "on"}


@dataclass
class OwnServer:
    """A PostgreSQL of a test's own, to be stopped hard."""

    embedded: Embedded
    server: Server

    def stop_hard(self, how: signal.Signals) -> None:
        """End it: by SIGQUIT, PostgreSQL's immediate shutdown, or all of it by SIGKILL, as a crash."""
        postmaster = psutil.Process(int(self.server.identity.split()[0]))
        family = [postmaster, *postmaster.children(recursive=True)]
        for process in family if how == signal.SIGKILL else [postmaster]:
            process.send_signal(how)
        psutil.wait_procs(family, timeout=60)

    def start(self) -> None:
        """Start it again, on the same port."""
        self.server = self.embedded.start()


@pytest.fixture
def own(short_directory: Path) -> Iterator[OwnServer]:
    embedded = Embedded(short_directory / "own", binaries.wheel(), OWN)
    server = embedded.start()
    with server.connect("postgres") as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [TEMPLATE]).fetchone():
            connection.execute(f"create database {TEMPLATE}")
            with connect(_database(server, TEMPLATE)) as fresh:
                migrate(fresh)
    yield OwnServer(embedded, server)
    embedded.stop()


@contextmanager
def a_world_behind_a_proxy(server: Server, s3: S3, directory: Path) -> Iterator[tuple[World, Proxy]]:
    with proxied(s3.endpoint) as proxy:
        behind = replace(s3, env={**s3.env, "AWS_ENDPOINT_URL_S3": proxy.url})
        with a_new_world(server, behind, directory) as made:
            yield made, proxy


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL], ids=["immediate", "crash"])
def test_postgresql_stopped_hard_under_copy_and_under_a_build(
    own: OwnServer, s3: S3, tmp_path: Path, how: signal.Signals
) -> None:
    with a_world_behind_a_proxy(own.server, s3, tmp_path) as (world, proxy):
        product = world.product
        world.put(KEY, BIG, 2)
        silence = Silence()
        proxy.faults.append(Fault(after=HALF, then=silence.wait))
        loader = Victim(product, "load")
        loader.until("half an object", lambda: silence.waiting == 1)
        loader.until("rows under COPY", lambda: bool(product.query(COPYING)))
        own.stop_hard(how)
        silence.end()
        said = loader.ends(1)
        assert KEY in said and "PostgreSQL: " in said
        own.start()
        world.failed(KEY)

        world.put("a/2.csv", rows(30, "Autumn"), 3)
        product.load()
        world.loaded()
        with holding(product, "lock table media.daily_metrics in share mode") as held:
            build = Victim(product, "transform")
            build.until_blocked(held)
            own.stop_hard(how)
            build.ends(1)
            held.close()
        own.start()
        world.night()


def test_a_statement_that_takes_too_long_fails_the_run_for_now(
    server: Server, s3: S3, tmp_path: Path
) -> None:
    with a_world(server, s3, tmp_path) as world:
        world.put(KEY, rows(30, "Summer"), 2)
        name = world.product.database.env["PGDATABASE"]
        world.product.query(f"alter database {name} set statement_timeout = '500ms'")
        with holding(world.product, "lock table media.staging_media_raw in share mode"):
            said = world.product.load(expect=[1]).stderr
        world.product.query(f"alter database {name} reset statement_timeout")
        assert "statement timeout" in said and said.count("\n") == 1
        world.failed(KEY)
        world.night()


@pytest.fixture
def small_disk(short_directory: Path) -> Iterator[Path]:
    """Gives a file system of two megabytes that the server may write to."""
    place = short_directory / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs a small file system, which cannot be mounted: {mounted.stderr}")
    try:
        if (account := binaries.system_account()) is not None and os.geteuid() == 0:
            os.chown(place, account.uid, account.gid)
        short_directory.chmod(0o711)
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_fails_the_run_for_now(server: Server, s3: S3, tmp_path: Path, small_disk: Path) -> None:
    with a_world(server, s3, tmp_path) as world:
        product = world.product
        with server.connect("postgres") as connection:
            connection.execute(f"create tablespace small location '{small_disk}'")
        product.query("alter table media.staging_media_raw set tablespace small")
        world.put(KEY, BIG, 2)
        world.put("a/2.csv", rows(30, "Autumn"), 3)
        said = product.load(expect=[1]).stderr
        assert "No space left on device" in said and said.count("\n") == 1
        world.failed(KEY)
        product.query("alter table media.staging_media_raw set tablespace pg_default")
        settle(product)
        with server.connect("postgres") as connection:
            connection.execute("drop tablespace small")
        world.night()
