"""Every command as a shell runs it: exit codes, results on stdout, one sentence per failure on stderr."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from conftest import MEDIA, S3, Media
from faults import wait_for

from loader import cli
from loader.database.connection import Database, connect
from loader.project import CHECKOUT

FEEDS = r"""
feeds:
  ttd:
    location: s3://drops/ttd/
    key_pattern: '(?P<date>\d{4}-\d{2}-\d{2})\.csv$'
    client: {column: Advertiser}
    columns: {date: Date, campaign_name: Campaign, impressions: Imps}
"""
FILE = "Date,Advertiser,Campaign,Imps\n2025-01-02,Acme,Spring,1000\n2025-01-02,Zeta,Spring,7\n"
# Tested separately: the demo in test_demo.py, the others below.
TESTED_SEPARATELY = {"demo", "serve", "db start", "db stop", "db copy"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yields every command of the app, as typed."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))
    else:
        yield " ".join(path)


@pytest.fixture
def command(media: Media, s3: S3, tmp_path: Path) -> Callable[..., str]:
    """Returns `command(*arguments)`: runs a command on a bucket with one file, and checks the exit code."""
    (tmp_path / "feeds.yml").write_text(FEEDS)
    s3.bucket()
    s3.put("ttd/2025-01-02.csv", FILE)
    env = {
        "MEDIA_FEEDS": f"{tmp_path / 'feeds.yml'}",
        "DBT_TARGET_PATH": f"{tmp_path / 'target'}",
        "HOME": f"{tmp_path}",
    }

    def run(*arguments: str, expect: int = 0, **more: str) -> str:
        done = media(*arguments, env=env | more)
        assert done.returncode == expect, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        if expect == 1:
            assert done.stderr.count("\n") == 1, done.stderr
            return done.stderr
        return done.stdout

    return run


def test_every_command_works(command: Callable[..., str], s3: S3, tmp_path: Path) -> None:
    done: set[str] = set()

    def run(typed: str, *arguments: str, **more: Any) -> str:
        done.add(typed)
        return command(*typed.split(), *arguments, **more)

    run("migrate")
    assert "nothing to change" in run("migrate")
    run("clients add", "Acme")
    assert json.loads(run("status", "--json"))["clients_without_cpm"] == ["Acme"]
    assert "already" in run("clients add", "aCME", expect=1)
    assert "no day" in run("cpm set", "Acme", "2.5")
    assert "would be loaded" in run("load", "--dry-run")
    (loaded,) = json.loads(run("load", "--json"))
    assert (loaded["status"], loaded["loaded"], loaded["rejected"]) == ("loaded", 1, 1)
    assert "0 failed" in run("transform")
    state = json.loads(run("status", "--json"))
    assert (state["days_waiting"], state["rejected_rows"], state["clients_without_cpm"]) == (0, 1, [])
    assert "Zeta" in run("rejects")
    run("rejects", loaded["run"], "--csv", f"{tmp_path / 'rejects.csv'}")
    assert (tmp_path / "rejects.csv").read_text().count("\n") == 2
    (tmp_path / "clients.csv").write_text("name,cpm,effective_date\nZeta,3,\nAcme,4,2025-01-01\n")
    assert "1 client added, 2 CPMs set" in run("clients import", f"{tmp_path / 'clients.csv'}")
    (tmp_path / "comma.csv").write_text("name,cpm\nAcme,12,50\n")  # must not become a CPM of 12
    run("clients import", f"{tmp_path / 'comma.csv'}", expect=1)
    assert "12.0000" not in run("cpm list")
    assert "disabled" in run("clients disable", "Zeta")
    assert "active" in run("clients enable", "Zeta")
    assert [one["name"] for one in json.loads(run("clients list", "--json"))] == ["Acme", "Zeta"]
    assert "4.0000\t2025-01-01" in run("cpm list", "Acme")
    assert "1 day with" in run("cpm remove", "Acme", "--from", "2025-01-01")
    run("nightly")  # retries the file, because its unknown client has been added
    assert len(json.loads(run("status", "--json"))["runs"]) == 2
    zeta = "select spend from media.daily_metrics where impressions = 7"
    assert run("db psql", "-Atc", zeta) == "0.02\n"
    s3.put("ttd/2025-01-03.csv", "Something,Else\n1,2\n")
    assert run("nightly", expect=1).startswith("s3://drops/ttd/2025-01-03.csv: ")
    assert len(json.loads(run("status", "--json"))["runs"]) == 3
    assert "retracted" in run("retract", json.loads(run("status", "--json"))["runs"][1]["id"])
    run("users add", "ann@example.com", "--client", "Acme", MEDIA_PASSWORD="correct horse")
    assert "ann@example.com\tclient\tAcme" in run("users list")
    assert "disabled" in run("users disable", "Ann@Example.com")
    assert done == set(commands(typer.main.get_command(cli.app))) - TESTED_SEPARATELY


def test_version_prints_the_projects_version(media: Media) -> None:
    done = media("--version")
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    assert (done.returncode, done.stdout, done.stderr) == (0, f"media {declared}\n", "")


def test_wrong_usage_exits_with_2(command: Callable[..., str]) -> None:
    for arguments in (
        *(["load", "--nonsense"], ["nonsense"], ["retract"], ["cpm", "set", "Acme"]),
        *(["transform", "--rebuild-from", "yesterday"], ["users", "add", "a@b.c"], ["serve", "--cron", "x"]),
    ):
        command(*arguments, expect=2)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"MEDIA_FEEDS": "/nowhere/feeds.yml"}, "/nowhere/feeds.yml does not exist"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "could not be read"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials"),
        ({"PGHOST": "/nowhere"}, "cannot connect to PostgreSQL"),
        ({"PGDATABASE": "postgres"}, "run `media migrate`"),
    ],
)
def test_a_wrong_setting_is_reported_in_one_sentence(
    command: Callable[..., str], env: dict[str, str], message: str
) -> None:
    assert message in command("load", expect=1, **env)


def test_the_embedded_server_is_started_used_and_stopped(short_directory: Path) -> None:
    """On a copy of the package, so that the checkout's own .media is not used."""
    checkout = short_directory / "checkout"
    shutil.copytree(CHECKOUT / "loader", checkout / "loader")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{checkout}"}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", "from loader.cli import main; main()", *arguments]
        done = subprocess.run(command, env=env, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    try:
        output = run("db", "start")
        run("migrate")
        assert "for BI tools: create a login" in output and "docs/access.md" in output
        address = next(word for word in output.split() if word.startswith("postgresql://"))
        with psycopg.connect(address) as connection:
            assert connection.execute("select count(*) from media.clients").fetchone() == (0,)
        settings = dict(line.split("=", 1) for line in output.splitlines() if line.startswith("PG"))
        with psycopg.connect(
            host=settings["PGHOST"], port=settings["PGPORT"], user=settings["PGUSER"]
        ) as connection:
            assert connection.info.dbname == "media"
        run("db", "stop")
        copied = run("db", "copy", "dev")  # also starts the server, and keeps it running
        env |= dict(re.findall(r"^export (\w+)=(.+)$", copied, re.MULTILINE))
        assert "/dev as media\nnothing to change" in run("migrate")
    finally:
        assert "stopped" in run("db", "stop")
    assert "was not running" in run("db", "stop")


def answer(address: str, login: str | None, **headers: str) -> tuple[int, str | None]:
    """Asks a Prefect server for its flows; returns the status and the origin that may read the answer."""
    if login is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    with closing(HTTPConnection(address.removeprefix("http://"))) as connection:
        connection.request("POST", "/api/flows/filter", "{}", {"Content-Type": "application/json"} | headers)
        response = connection.getresponse()
        response.read()
        return response.status, response.getheader("Access-Control-Allow-Origin")


def flow_run_fails(client: Any, deployment: Any, **parameters: object) -> str:
    """Runs the served flow with these parameters; returns the failure message."""
    run = client.create_flow_run_from_deployment(deployment.id, parameters=parameters)
    wait_for("the end of the flow run", lambda: client.read_flow_run(run.id).state.is_final())
    state = client.read_flow_run(run.id).state
    assert state.is_failed(), state
    return str(state.message)


def cancel_a_flow_run(client: Any, deployment: Any, database: Database, lock: str) -> None:
    """Cancels a flow run that waits for a lock; its statement must end although the lock is still held."""
    from prefect.states import Cancelling

    with connect(database) as holder, connect(database, autocommit=True) as other:
        holder.execute(lock.encode())
        blocked = "select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid))"

        def is_blocking() -> bool:
            return other.execute(blocked, [holder.info.backend_pid]).fetchone() != (0,)

        run = client.create_flow_run_from_deployment(deployment.id)
        wait_for("a blocked statement", is_blocking)
        client.set_flow_run_state(run.id, Cancelling())
        wait_for("the end of the statement", lambda: not is_blocking())
        wait_for("the end of the flow run", lambda: client.read_flow_run(run.id).state.is_final())
        assert client.read_flow_run(run.id).state.is_cancelled()


def test_the_flow_is_served_with_parameters_and_cancels_until_stopped(
    database: Database, s3: S3, tmp_path: Path
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    s3.bucket()
    s3.put("ttd/2025-01-02.csv", FILE)
    feeds = tmp_path / "feeds.yml"
    feeds.write_text(FEEDS)
    env = (
        database.environ() | dict(s3.env) | {"HOME": f"{tmp_path}", "PREFECT_HOME": f"{tmp_path / 'prefect'}"}
    )
    env |= {"MEDIA_FEEDS": f"{feeds}", "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    env |= {"DBT_TARGET_PATH": f"{tmp_path / 'target'}", "DBT_LOG_PATH": f"{tmp_path / 'logs'}"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [MEDIA, "serve", "--cron", "0 5 * * *"],
        env=env | {"PREFECT_SERVER_API_PORT": f"{port}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = ""
    for line in process.stdout:
        output += line
        if "nightly/nightly" in output or "Ctrl-C" in output or "polling for scheduled runs" in output:
            break
    login = (tmp_path / "prefect/media-serve-login").read_text()
    (address,) = re.findall(r"Prefect server: (http://\S+)", output)
    assert login.split(":")[1] not in output
    assert [answer(address, given)[0] for given in (None, "media:wrong", login)] == [401, 401, 200]
    assert answer(address, login, Origin="http://other.example")[1] is None
    assert answer(address, login, Origin=address)[1] == address
    files = ("media-serve-login", "prefect.db")
    assert [(tmp_path / "prefect" / file).stat().st_mode & 0o077 for file in files] == [0, 0]
    api = {PREFECT_API_URL: f"{address}/api", PREFECT_API_AUTH_STRING: login}
    try:
        with temporary_settings(api), get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name("nightly/nightly")
            sentence = (
                "the nightly flow has no parameter re-build, typo; its parameters are: feed, key, retry,"
            )
            assert sentence in flow_run_fails(client, deployment, typo=1, **{"re-build": 2})
            for table in ("media.staging_media_raw", "media_ops.days_built"):  # COPY, dbt
                lock = f"lock table {table} in access exclusive mode"
                cancel_a_flow_run(client, deployment, database, lock)
    finally:
        process.terminate()
    try:
        output += process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert "nightly" in output and "Traceback" not in output
    # the processes of the two cancelled runs ended before Prefect killed them
    assert len(re.findall("^interrupted$|Flow run was cancelled", output, re.MULTILINE)) >= 2


def test_a_directory_that_cannot_be_written_is_named_with_the_variable_to_set(
    command: Callable[..., str], tmp_path: Path
) -> None:
    command("migrate")
    (tmp_path / "file").touch()
    nowhere = f"{tmp_path / 'file' / 'x'}"  # not even root can create it
    for variable, name in {
        "DBT_TARGET_PATH": "transform",
        "DBT_LOG_PATH": "transform",
        "DBT_PROFILES_DIR": "transform",
        "PREFECT_HOME": "nightly",
    }.items():
        output = command(name, expect=1, **{variable: nowhere})
        assert nowhere in output and f"set {variable} to" in output
    assert "set PREFECT_HOME to" in command("serve", expect=1, PREFECT_HOME=nowhere)


def test_an_argument_that_is_not_utf_8_is_reported_in_one_sentence(command: Callable[..., str]) -> None:
    command("migrate")
    assert "not valid UTF-8" in command("users", "disable", "\udcff", expect=1)


def test_characters_that_the_terminal_cannot_show_are_escaped(command: Callable[..., str]) -> None:
    command("migrate")
    command("clients", "add", "Čaj")
    assert r"\u010caj" in command("clients", "list", PYTHONIOENCODING="ascii")
