"""The demo: a scenario on sample data, with its own database and its own S3."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from moto.server import ThreadedMotoServer
from psycopg import sql
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loader.agency import clients, cpms, users
from loader.console import on_one_line, say
from loader.database.choice import database
from loader.database.connection import Database, connect
from loader.database.embedded import Embedded, profile
from loader.database.migrate import migrate
from loader.database.server import DATABASE, LOOPBACK, Server
from loader.demo import sample_data as demo_data
from loader.errors import MediaError
from loader.files.feeds import read_feeds
from loader.ingestion import runs
from loader.ingestion.load import load
from loader.ingestion.s3 import connect_s3
from loader.names import counted
from loader.nightly.status import status
from loader.project import CHECKOUT, MEDIA

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DIRECTORY = MEDIA / "demo"
REMOVED_PREFIXES = ("AWS_", "BOTO_", "DBT_", "MEDIA_")
"""Environment variables with these prefixes are removed while the demo runs."""
LATE_DAY, RESTATED_DAY, REPLACED_DAY = date(2025, 10, 8), date(2025, 10, 20), date(2025, 10, 21)
NEW_CPM_DAY = date(2025, 10, 15)
AGENCY_LOGIN, CLIENT_LOGIN = "agency_bi", "c1001"
CLIENT_OF_LOGIN = "Aurora Travel"
DIRTY_LINES = (
    f"{demo_data.LAST_DAY},Umbrella Ltd,Spring,Prospecting,Top,Banner,900,9,1,$20.00",
    f"{demo_data.LAST_DAY},Aurora Travel,Winter Sun,Prospecting,Top,Banner,12.5k,9,1,$20.00",
    "2025-02-30,Aurora Travel,Winter Sun,Prospecting,Top,Banner,900,9,1,$20.00",
)


def demo(directory: Path = DIRECTORY) -> None:
    """Runs the scenario on an empty database, and leaves the database running so that users can explore it.

    Raises MediaError if another demo is running, or if a load or build fails.
    """
    with _only_demo(directory), _environment(directory), database(directory) as db, _s3() as s3:
        say(f"This demo uses only a new {db.description} and its own S3 server.")
        _reset(db, directory)
        Scenario(db, s3, directory / "feeds.yml").run()
        _show_figures(db)
        _show_runs(db)
        passwords = _create_logins(db)
        server = Embedded(directory).start()  # keeps running, for psql and BI tools
    _print_next_steps(directory, server, passwords)


@contextmanager
def _only_demo(directory: Path) -> Iterator[None]:
    """Prevents a second demo from dropping the database of the first; raises MediaError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "demo.lock").open("w")
    except OSError as error:
        raise MediaError(
            f"cannot use {directory} for the demo ({error.strerror}): run it in a checkout of your own"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MediaError("another demo is running: wait until it has finished") from error
        yield


@contextmanager
def _environment(directory: Path) -> Iterator[None]:
    """Sets AWS_* and DBT_* for the demo, and restores the environment afterwards."""
    ours = {
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "DBT_PROFILES_DIR": str(directory),
        "DBT_TARGET_PATH": str(directory / "target"),
        "DBT_LOG_PATH": str(directory / "logs"),
        "DBT_LOG_LEVEL": "none",
        "DBT_QUIET": "true",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    before = dict(os.environ)
    for name in before:
        if name.startswith(REMOVED_PREFIXES):
            del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _s3() -> Iterator[S3Client]:
    """Runs moto's server on a free port, with the demo's bucket; yields a client, and sets AWS_* to it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would log every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        os.environ["AWS_ENDPOINT_URL_S3"] = f"http://{host}:{port}"
        client = connect_s3()
        client.create_bucket(Bucket=demo_data.BUCKET)
        yield client
    finally:
        server.stop()


def _reset(db: Database, directory: Path) -> None:
    """Recreates the database, drops its logins, and writes the demo's feeds.yml and profiles.yml."""
    with connect(Database(db.description, {**db.env, "PGDATABASE": "postgres"}), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE} with (force)")
        server.execute(f"create database {DATABASE} template template0")
        server.execute(f"drop role if exists {AGENCY_LOGIN}, {CLIENT_LOGIN}")
    (directory / "feeds.yml").write_text(demo_data.FEEDS, encoding="utf-8")
    (directory / "profiles.yml").write_text(profile(directory), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Scenario:
    """The steps of the demo; each delivers files or changes a CPM, then loads and builds."""

    db: Database
    s3: S3Client
    feeds_file: Path

    def run(self) -> None:
        """Runs all steps, in order."""
        self._prepare()
        self._first_load()
        self._corrections()
        self._dirty_file()
        self._late_file()
        self._new_cpm()

    def _prepare(self) -> None:
        with connect(self.db) as connection:
            migrate(connection)
            for name, cpm in demo_data.CPMS.items():
                client_id = clients.add_client(connection, name)
                cpms.set_cpm(connection, client_id, cpms.parsed_cpm(cpm), None)
        say(f"Created the tables and {len(demo_data.CPMS)} clients, each with a CPM:")
        for name, cpm in demo_data.CPMS.items():
            say(f"  {name} pays {cpm} for a thousand impressions.")

    def _first_load(self) -> None:
        _print_heading("The first load: two partners have delivered sixty days of files")
        for day in demo_data.DAYS:
            if day != demo_data.LAST_DAY:
                self._put_trade_desk(day, demo_data.trade_desk_lines(day))
            if day != LATE_DAY:
                self._put_social(day, demo_data.lines("Café Zürich", day))
        self._load_and_build()

    def _corrections(self) -> None:
        _print_heading(
            f"A partner redelivers {RESTATED_DAY} under the same name: one campaign has 10% more impressions"
        )
        corrected = demo_data.scaled(demo_data.trade_desk_lines(RESTATED_DAY), "Winter Sun", 110)
        self._put_trade_desk(RESTATED_DAY, corrected)
        self._load_and_build()
        _print_heading(
            f"The other partner corrects {REPLACED_DAY} in a new file: Gutscheine did not run on that day"
        )
        kept = [
            line for line in demo_data.lines("Café Zürich", REPLACED_DAY) if line.campaign != "Gutscheine"
        ]
        self._put_social(REPLACED_DAY, kept, "-corrected")
        self._load_and_build()

    def _dirty_file(self) -> None:
        _print_heading(f"The file for {demo_data.LAST_DAY} has three bad rows; the good rows are loaded")
        self._put_trade_desk(demo_data.LAST_DAY, demo_data.trade_desk_lines(demo_data.LAST_DAY), DIRTY_LINES)
        self._load_and_build()

    def _late_file(self) -> None:
        _print_heading(f"A file for {LATE_DAY} arrives weeks late, and is found all the same")
        self._put_social(LATE_DAY, demo_data.lines("Café Zürich", LATE_DAY))
        self._load_and_build()

    def _new_cpm(self) -> None:
        _print_heading(
            f"Aurora Travel's CPM is changed to 13.50 from {NEW_CPM_DAY}, in the middle of a month"
        )
        with connect(self.db) as connection:
            aurora = clients.find_client(connection, "Aurora Travel")
            change = cpms.set_cpm(connection, aurora, cpms.parsed_cpm("13.50"), NEW_CPM_DAY)
        say(f"  {change}.")
        self._load_and_build()

    def _put_trade_desk(self, day: date, lines: Sequence[demo_data.Line], extra: Sequence[str] = ()) -> None:
        content = demo_data.trade_desk_file(lines, extra)
        self.s3.put_object(Bucket=demo_data.BUCKET, Key=demo_data.trade_desk_key(day), Body=content)

    def _put_social(self, day: date, lines: Sequence[demo_data.Line], suffix: str = "") -> None:
        content = demo_data.social_file(lines)
        self.s3.put_object(Bucket=demo_data.BUCKET, Key=demo_data.social_key(day, suffix), Body=content)

    def _load_and_build(self) -> None:
        """Loads what is new, brings the marts up to date, and prints what changed."""
        from loader.nightly.transform import transform

        feeds = read_feeds(self.feeds_file)
        results = load(self.db, feeds)
        _raise_if_any([f"{result.uri}: {result.message}" for result in results if result.status == "failed"])
        loaded, rejected = sum(one.loaded for one in results), sum(one.rejected for one in results)
        say(f"  Loaded {counted(len(results), 'file')}: {counted(loaded, 'row')}, {rejected:,} rejected.")
        before = _Marts.read(self.db)
        nodes = transform(self.db, feeds)
        _raise_if_any([str(node) for node in nodes if node.failed])
        say(f"  {before.changes(_Marts.read(self.db))}")


@dataclass(frozen=True, slots=True)
class _Marts:
    """The rows of daily_metrics by id with their version (xmin), and the fingerprints of the built days."""

    daily: Mapping[UUID, str]
    days: Mapping[tuple[UUID, date], str | None]

    @classmethod
    def read(cls, db: Database) -> _Marts:
        """Reads the current state."""
        with connect(db) as connection:
            if connection.execute("select to_regclass('media.daily_metrics')").fetchone() == (None,):
                return cls({}, {})  # before the first build
            daily = connection.execute("select id, xmin::text from media.daily_metrics").fetchall()
            days = connection.execute(
                "select client_id, date, fingerprint from media_ops.days_built"
            ).fetchall()
        return cls(dict(daily), {(client, day): fingerprint for client, day, fingerprint in days})

    def changes(self, later: _Marts) -> str:
        """Returns a sentence that says what changed between this state and a later one."""
        new, deleted = later.daily.keys() - self.daily.keys(), self.daily.keys() - later.daily.keys()
        both = later.daily.keys() & self.daily.keys()
        changed = sum(later.daily[row] != self.daily[row] for row in both)
        days = {key for key, fingerprint in later.days.items() if self.days.get(key) != fingerprint}
        parts = (
            f"{len(new):,} new, {changed:,} changed, {len(deleted):,} deleted,"
            f" {len(both) - changed:,} unchanged"
        )
        number = len({client for client, _ in days})
        return f"Recomputed {counted(len(days), 'day')} of {counted(number, 'client')}; daily rows: {parts}."


def _raise_if_any(failures: Sequence[str]) -> None:
    if failures:
        raise MediaError(f"the demo failed: {'; '.join(failures[:3])}")


def _print_heading(title: str) -> None:
    say("")
    say(title + ".")


FIGURES = ("impressions", "clicks", "conversions", "revenue", "spend", "ctr", "cpc", "cpa", "roas")
LAST_WEEK = """
    select
        week_start, week_end, clients.name,
        impressions, clicks, conversions, revenue, spend, ctr, cpc, cpa, roas
    from media.weekly_summaries
    inner join media.clients on clients.id = weekly_summaries.client_id
    where week_start = (select max(week_start) from media.weekly_summaries)
    order by clients.name
"""
LAST_MONTH = LAST_WEEK.replace("week", "month")
TOP_CAMPAIGNS = """
    select clients.name, item.rank, item.name, item.revenue, item.spend, item.roas
    from media.monthly_summaries
    inner join media.clients on clients.id = monthly_summaries.client_id
    cross join lateral jsonb_to_recordset(top_campaigns)
        as item (rank int, name text, revenue numeric, spend numeric, roas numeric)
    where month_start = (select max(month_start) from media.monthly_summaries)
    order by clients.name, item.rank
"""


def _show_figures(db: Database) -> None:
    with connect(db, "media_reader") as connection:  # the role of the agency's BI tool
        for period, query in {"week": LAST_WEEK, "month": LAST_MONTH}.items():
            found = connection.execute(query.encode()).fetchall()
            title = f"The last {period}, {found[0][0]} to {found[0][1]}"
            _print_table(title, ("client", *FIGURES), [row[2:] for row in found])
        top = connection.execute(TOP_CAMPAIGNS.encode()).fetchall()
    columns = ("client", "rank", "campaign", "revenue", "spend", "roas")
    _print_table("The top campaigns of that month, by revenue", columns, top)


def _show_runs(db: Database) -> None:
    with connect(db) as connection:
        latest = status(connection, limit=6).runs
        rejects = list(runs.rejects(connection))
    log = [(run.id, _key(run.file), run.status, run.loaded, run.rejected) for run in latest]
    _print_table("The latest runs of the loader", ("run", "file", "status", "loaded", "rejected"), log)
    rejected = [(_key(row.uri), row.line, row.reason, row.sentence) for row in rejects]
    _print_table("The rejected rows", ("file", "line", "reason", "explanation"), rejected)


def _create_logins(db: Database) -> dict[str, str]:
    """Creates a login for the agency's BI tool and one for a client; returns their passwords by login."""
    passwords = {login: secrets.token_urlsafe(12) for login in (AGENCY_LOGIN, CLIENT_LOGIN)}
    with connect(db) as connection:
        connection.execute(
            sql.SQL("create role {} login password {} in role media_reader").format(
                sql.Identifier(AGENCY_LOGIN), sql.Literal(passwords[AGENCY_LOGIN])
            )
        )
        client = clients.find_client(connection, CLIENT_OF_LOGIN)
        users.add_user(connection, "ann@aurora.example", passwords[CLIENT_LOGIN], client, CLIENT_LOGIN)
    return passwords


def _key(uri: str) -> str:
    return uri.removeprefix(f"s3://{demo_data.BUCKET}/")


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table, with numbers right-aligned."""
    console = Console() if sys.stdout.isatty() else Console(width=130)
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(columns):
        right = all(isinstance(row[number], int | Decimal) for row in rows)
        table.add_column(name, justify="right" if right else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print()
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int | Decimal) else on_one_line(value)


def _print_next_steps(directory: Path, server: Server, passwords: Mapping[str, str]) -> None:
    variables = server.environment() | {"MEDIA_FEEDS": str(directory / "feeds.yml")}
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    profiles = f"--profiles-dir {shlex.quote(_short(directory))}"
    say("")
    say("The demo's database keeps running. To explore it, run in the checkout")
    say(f"  export {settings}")
    say("and then")
    say("  .venv/bin/media db psql         for SQL; try: select * from media.weekly_summaries;")
    say("  .venv/bin/media status          for the loader's runs, and what is waiting")
    say("  .venv/bin/media rejects         for the rejected rows, as delivered")
    say(f"  .venv/bin/dbt docs generate {profiles} && .venv/bin/dbt docs serve {profiles}")
    say("                                  for all tables and columns, with their lineage")
    if server.listens:
        say(f"Connect a BI tool to {LOOPBACK}, port {server.port}, database {DATABASE}, schema media, as")
        say(f"  {AGENCY_LOGIN}, password {passwords[AGENCY_LOGIN]} (the agency: sees all clients), or")
        say(f"  {CLIENT_LOGIN}, password {passwords[CLIENT_LOGIN]} ({CLIENT_OF_LOGIN}: sees its own rows)")
        say("Logins of your own: docs/access.md")
    else:
        say(f"BI tools cannot connect, because another program uses port {server.port} of {LOOPBACK}.")
    say("To stop the database: .venv/bin/python -m loader.demo stop (the next demo starts with a new one)")


def _short(path: Path) -> str:
    inside = path.is_relative_to(CHECKOUT)
    return str(path.relative_to(CHECKOUT)) if inside else str(path)
