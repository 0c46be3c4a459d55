"""The embedded server: leases, crashes, concurrent starts, and where it listens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest
import yaml
from conftest import DBT
from jinja2 import Environment

from loader.database import libpq
from loader.database.embedded import Embedded, profile
from loader.database.server import Server, running_server
from loader.errors import MediaError
from loader.project import CHECKOUT

SETTINGS = {"fsync": "off", "shared_buffers": "32MB"}
# Takes a lease, prints which server it got, and exits when its standard input is closed.
LEASE_SCRIPT = """
import sys
from pathlib import Path
from loader.database.embedded import Embedded
with Embedded(Path(sys.argv[1]), settings={"fsync": "off", "shared_buffers": "32MB"}).lease() as server:
    print(server.identity, flush=True)
    sys.stdin.read()
"""
Lease = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def directory(short_directory: Path) -> Path:
    return short_directory / "lifecycle"


@pytest.fixture
def embedded(directory: Path) -> Iterator[Embedded]:
    embedded = Embedded(directory, settings=SETTINGS)
    yield embedded
    embedded.stop()


@pytest.fixture
def lease(embedded: Embedded) -> Iterator[Lease]:
    """Returns a function that takes a lease in another process."""
    processes = []

    def take() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", LEASE_SCRIPT, embedded.directory],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield take
    for process in processes:
        process.kill()
        process.communicate()


def identity(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_running(embedded: Embedded) -> bool:
    return running_server(embedded.cluster.data) is not None


def create_table(server: Server, table: str) -> None:
    with server.connect("media") as connection:
        connection.execute(f"create table {table} as select 42 as answer")


def answer(server: Server, table: str) -> object:
    with server.connect("media") as connection:
        return connection.execute(f"select answer from {table}").fetchone()


def server_processes(embedded: Embedded) -> list[psutil.Process]:
    server = running_server(embedded.cluster.data)
    assert server is not None
    postmaster = psutil.Process(int(server.identity.split()[0]))
    return [postmaster, *postmaster.children(recursive=True)]


def test_the_end_of_the_last_lease_stops_the_server(embedded: Embedded) -> None:
    with embedded.lease() as first:
        create_table(first, "kept")
        with embedded.lease() as second:
            assert second == first
        assert is_running(embedded)
    assert not is_running(embedded)
    with embedded.lease() as again:
        assert answer(again, "kept") == (42,)


def test_a_lease_of_another_process_keeps_the_server_running(embedded: Embedded, lease: Lease) -> None:
    with embedded.lease() as server:
        other = lease()
        assert identity(other) == server.identity
    assert is_running(embedded)
    other.communicate()
    assert not is_running(embedded)


def test_a_started_server_runs_until_it_is_stopped(embedded: Embedded) -> None:
    server = embedded.start()
    with embedded.lease() as same:
        assert same == server
    assert is_running(embedded)
    assert embedded.stop()
    assert not embedded.stop()
    with embedded.lease():
        pass
    assert not is_running(embedded)


def test_a_server_with_open_connections_is_not_stopped(embedded: Embedded) -> None:
    with embedded.lease() as server:
        client = server.connect("media")
    assert client.execute("select 1").fetchone() == (1,)
    client.close()
    with embedded.lease():
        pass
    assert not is_running(embedded)


def test_many_processes_share_one_server(embedded: Embedded, lease: Lease) -> None:
    processes = [lease() for _ in range(4)]
    assert len({identity(process) for process in processes}) == 1
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    assert not is_running(embedded)


def test_the_server_recovers_after_everything_was_killed(embedded: Embedded, lease: Lease) -> None:
    process = lease()
    identity(process)
    server = running_server(embedded.cluster.data)
    assert server is not None
    create_table(server, "committed")
    for target in [psutil.Process(process.pid), *server_processes(embedded)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # children can exit by themselves first
            target.kill()
    with embedded.lease() as again:
        assert answer(again, "committed") == (42,)
    assert not is_running(embedded)


def test_sessions_that_survive_the_killed_server_are_terminated(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.database.server.STOP_TIMEOUT_SECONDS", 0.5)
    server = embedded.start()
    busy = server.connect("media")
    busy.pgconn.send_query(b"do $$ begin loop end loop; end $$")
    server_processes(embedded)[0].kill()
    with embedded.lease() as again:
        assert again != server
    busy.close()


def test_a_killed_process_no_longer_holds_its_lease(embedded: Embedded, lease: Lease) -> None:
    process = lease()
    identity(process)
    process.kill()
    process.communicate()
    assert is_running(embedded)
    with embedded.lease():
        pass
    assert not is_running(embedded)


def test_a_lock_file_that_names_another_program_is_ignored(embedded: Embedded) -> None:
    with embedded.lease() as server:
        old = (embedded.cluster.data / "postmaster.pid").read_text()
    owner = embedded.cluster.data.stat()
    other = subprocess.Popen(
        ["sleep", "600"], user=owner.st_uid if os.geteuid() == 0 else None, cwd="/", stdin=subprocess.DEVNULL
    )
    pid_file = embedded.cluster.data / "postmaster.pid"
    pid_file.write_text(old.replace(server.identity.split()[0], str(other.pid), 1))
    os.chown(pid_file, owner.st_uid, owner.st_gid)
    try:
        with embedded.lease() as again:
            assert again.identity != server.identity
    finally:
        other.kill()
        other.wait()


def test_a_lease_during_a_shutdown_starts_the_server_again(embedded: Embedded) -> None:
    server = embedded.start()
    busy = server.connect("media")
    server_processes(embedded)[0].send_signal(
        signal.SIGTERM
    )  # waits for sessions to end, and accepts no new ones
    busy.close()
    with embedded.lease() as again:
        assert answer(again, "(select 42 as answer)") == (42,)


def test_if_the_port_is_taken_only_network_access_is_missing(embedded: Embedded) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", embedded.cluster.port))
        taken.listen()
        with embedded.lease() as server:
            assert not server.listens
            assert embedded.address(server) is None
            assert server.port == embedded.cluster.port


def test_network_connections_need_the_password(embedded: Embedded) -> None:
    with embedded.lease() as server:
        assert server.listens
        address = embedded.address(server)
        assert address is not None
        psycopg.connect(address).close()
        for wrong in ("wrong", ""):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(address.replace(embedded.cluster.password, wrong))


def test_other_users_have_no_access_to_private_files(embedded: Embedded) -> None:
    with embedded.lease() as server:
        for name in ("password", "port", "lock"):
            assert (embedded.directory / name).stat().st_mode & 0o077 == 0, name
        assert embedded.directory.stat().st_mode & 0o066 == 0
        assert server.socket_directory.stat().st_mode & 0o077 == 0
        assert embedded.cluster.data.stat().st_mode & 0o077 == 0


def test_a_socket_directory_that_is_not_private_is_refused(
    short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short_directory))
    embedded = Embedded(short_directory / ("deep" * 30), settings=SETTINGS)
    embedded.cluster.socket_directory.mkdir(mode=0o777)
    with pytest.raises(MediaError, match="is not a private directory"), embedded.lease():
        pass


def test_an_unfinished_data_directory_is_created_again(short_directory: Path) -> None:
    embedded = Embedded(short_directory / "half", settings=SETTINGS)
    unfinished = embedded.directory / "postgres.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded.lease() as server:
        create_table(server, "done")
        assert not unfinished.exists()


@pytest.mark.parametrize("name", ['it\'s "odd", $HOME `id` ü', "long" * 40])
def test_any_directory_name_works(short_directory: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(short_directory))
    embedded = Embedded(short_directory / name, settings=SETTINGS)
    with embedded.lease() as server:
        create_table(server, "anywhere")
        assert running_server(embedded.cluster.data) == server
    assert not is_running(embedded)


def test_the_environment_of_another_server_is_ignored(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOSTADDR", "PGSERVICE", "PGREQUIREAUTH", "PGPORT", "PGDATA"):
        monkeypatch.setenv(name, "8.8.8.8")
    embedded.start()
    with libpq.environment({}), embedded.lease() as server:
        create_table(server, "ours")
    assert embedded.stop()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_server_does_not_inherit_secrets(embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDIA_PASSWORD", "AWS_SECRET_ACCESS_KEY", "SOMEONES_TOKEN"):
        monkeypatch.setenv(name, "hunter2")
    with embedded.lease() as server, server.connect("postgres") as connection:
        (lines,) = connection.execute("select pg_read_file('postmaster.pid')").fetchone() or ("",)
        environment = Path(f"/proc/{lines.split()[0]}/environ").read_bytes()
    assert b"PATH=" in environment and b"hunter2" not in environment


@pytest.mark.parametrize("name", ["plain", 'it\'s "odd" {{ really }} \\ ü'])
def test_the_profile_names_the_server_unless_the_environment_does(short_directory: Path, name: str) -> None:
    embedded = Embedded(short_directory / name)
    output = yaml.safe_load(profile(embedded.directory))["paid_media"]["outputs"]["default"]
    jinja = Environment(autoescape=False)
    jinja.filters["as_number"] = int

    def values(environment: dict[str, str]) -> list[str]:
        return [
            jinja.from_string(output[key]).render(
                env_var=lambda name, default: environment.get(name, default)
            )
            for key in ("host", "port", "user", "password", "dbname")
        ]

    cluster = embedded.cluster
    assert values({}) == [str(cluster.socket_directory), "5432", "media", "", "media"]
    variables = {"PGHOST": "db", "PGPORT": "1", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "d"}
    assert values(variables) == list(variables.values())


def test_a_profile_stays_valid_when_the_directory_is_recreated_with_another_port(
    short_directory: Path,
) -> None:
    embedded = Embedded(short_directory / "again", settings=SETTINGS)
    profiles = short_directory / "profiles"
    profiles.mkdir()
    (profiles / "profiles.yml").write_text(profile(embedded.directory))
    try:
        first = embedded.start()
        embedded.stop()
        shutil.rmtree(embedded.directory)
        with socket.socket() as taken:  # so that the next server chooses another port
            taken.bind(("127.0.0.1", first.port))
            second = embedded.start()
        assert second.port != first.port
        host = str(embedded.cluster.socket_directory)
        with psycopg.connect(host=host, port=5432, user="media", dbname="media") as connection:
            connection.execute("create role media_transformer")
        done = subprocess.run(
            [DBT, "debug", "--connection", "--project-dir", CHECKOUT, "--profiles-dir", profiles],
            env=libpq.stripped(os.environ)
            | {"DBT_TARGET_PATH": f"{profiles}", "DBT_LOG_PATH": f"{profiles}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and "OK connection ok" in done.stdout, done.stdout
    finally:
        embedded.stop()


def test_the_default_port_always_reaches_the_current_server(embedded: Embedded) -> None:
    """Also after a crash, and after a stop that left a link to another port."""
    for crash in (True, False):
        server = embedded.start()
        if crash:
            for process in server_processes(embedded):
                process.kill()
        else:
            embedded.stop()
            link = server.socket_directory / ".s.PGSQL.5432"
            link.unlink()
            link.symlink_to(".s.PGSQL.1")
        again = embedded.start()
        assert again.identity != server.identity
        host = str(again.socket_directory)
        with psycopg.connect(host=host, port=5432, user="media", dbname="media") as connection:
            assert connection.execute("show port").fetchone() == (str(again.port),)
