"""The demo: a story told on sample data, in a database and an S3 of its own."""

from __future__ import annotations

import fcntl
import logging
import os
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
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loader.agency import clients, rates
from loader.console import on_one_line, say
from loader.database.choice import database
from loader.database.connection import Database, connect
from loader.database.embedded import Embedded, profile
from loader.database.migrate import migrate
from loader.database.server import DATABASE, Server
from loader.demo import sample_data as demo_data
from loader.errors import MediaError
from loader.files.feeds import read_feeds
from loader.ingestion import runs
from loader.ingestion.load import load
from loader.ingestion.s3 import connect_s3
from loader.nightly.status import status
from loader.project import CHECKOUT, MEDIA

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DIRECTORY = MEDIA / "demo"
FOREIGN = ("AWS_", "BOTO_", "DBT_", "MEDIA_")
LATE_DAY, RESTATED_DAY, REPLACED_DAY = date(2025, 10, 8), date(2025, 10, 20), date(2025, 10, 21)
NEW_PRICE_DAY = date(2025, 10, 15)
DIRTY_LINES = (
    f"{demo_data.LAST_DAY},Umbrella Ltd,Spring,Prospecting,Top,Banner,900,9,1,$20.00",
    f"{demo_data.LAST_DAY},Aurora Travel,Winter Sun,Prospecting,Top,Banner,12.5k,9,1,$20.00",
    "2025-02-30,Aurora Travel,Winter Sun,Prospecting,Top,Banner,900,9,1,$20.00",
)


def demo(directory: Path = DIRECTORY) -> None:
    """Tells the story from an empty database on, and leaves the database running to be looked at.

    Raises MediaError where another demo runs, or where a night fails.
    """
    with _alone(directory), _environment(directory), database(directory) as db, _s3() as bucket:
        say(f"This demo works on an {db.description}, made anew, and on an S3 of its own: on nothing else.")
        _start_afresh(db, directory)
        story = Story(db, bucket, directory / "feeds.yml")
        story.tell()
        _show_figures(db)
        _show_log(db)
        server = Embedded(directory).start()  # kept, so that psql and BI tools find it afterwards
    _say_how_to_look_further(directory, server)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keeps a second demo from dropping the database of the first."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "demo.lock").open("w")
    except OSError as error:
        raise MediaError(f"cannot use {directory} for the demo: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MediaError("another demo is running: wait until it has ended") from error
        yield


@contextmanager
def _environment(directory: Path) -> Iterator[None]:
    """Has AWS_* and DBT_* name what is the demo's, whatever they named before."""
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
        if name.startswith(FOREIGN):
            del os.environ[name]
    os.environ.update(ours)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _s3() -> Iterator[S3Client]:
    """Yields a client of moto's server on a free port, with the demo's bucket; AWS_* names it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would tell of every request
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


def _start_afresh(db: Database, directory: Path) -> None:
    """Drops what an earlier demo left, and writes the demo's feeds and dbt profile."""
    with connect(Database(db.description, {**db.env, "PGDATABASE": "postgres"}), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE} with (force)")
        server.execute(f"create database {DATABASE} template template0")
    (directory / "feeds.yml").write_text(demo_data.FEEDS, encoding="utf-8")
    (directory / "profiles.yml").write_text(profile(directory), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Story:
    """What happens, night by night."""

    db: Database
    s3: S3Client
    feeds_file: Path

    def tell(self) -> None:
        """Everything, in order."""
        self._prepare()
        self._first_night()
        self._corrections()
        self._dirty_file()
        self._late_file()
        self._new_price()

    def _prepare(self) -> None:
        with connect(self.db) as connection:
            migrate(connection)
            for name, cpm in demo_data.CPMS.items():
                identity = clients.add_client(connection, name)
                rates.set_rate(connection, identity, rates.parsed_cpm(cpm), None)
        say(f"Made the tables and {len(demo_data.CPMS)} clients, each with a CPM:")
        for name, cpm in demo_data.CPMS.items():
            say(f"  {name} pays {cpm} for a thousand impressions.")

    def _first_night(self) -> None:
        _chapter("The first night: two partners have delivered sixty days of files")
        for day in demo_data.DAYS:
            if day != demo_data.LAST_DAY:
                self._put_trade_desk(day, demo_data.trade_desk_lines(day))
            if day != LATE_DAY:
                self._put_social(day, demo_data.lines("Café Zürich", day))
        self._night()

    def _corrections(self) -> None:
        _chapter(f"A partner delivers {RESTATED_DAY} again under the same name: one campaign had 10 % more")
        corrected = demo_data.scaled(demo_data.trade_desk_lines(RESTATED_DAY), "Winter Sun", 110)
        self._put_trade_desk(RESTATED_DAY, corrected)
        self._night()
        _chapter(
            f"The other corrects {REPLACED_DAY} under a new name: the campaign Gutscheine never ran that day"
        )
        kept = [
            line for line in demo_data.lines("Café Zürich", REPLACED_DAY) if line.campaign != "Gutscheine"
        ]
        self._put_social(REPLACED_DAY, kept, "-corrected")
        self._night()

    def _dirty_file(self) -> None:
        _chapter(f"The file of {demo_data.LAST_DAY} arrives with three bad rows; the good ones count")
        self._put_trade_desk(demo_data.LAST_DAY, demo_data.trade_desk_lines(demo_data.LAST_DAY), DIRTY_LINES)
        self._night()

    def _late_file(self) -> None:
        _chapter(f"A file of {LATE_DAY} arrives weeks late: no watermark passes it by")
        self._put_social(LATE_DAY, demo_data.lines("Café Zürich", LATE_DAY))
        self._night()

    def _new_price(self) -> None:
        _chapter(f"Aurora Travel's CPM turns out to be 13.50 from {NEW_PRICE_DAY} on, in mid-month")
        with connect(self.db) as connection:
            aurora = clients.find_client(connection, "Aurora Travel")
            change = rates.set_rate(connection, aurora, rates.parsed_cpm("13.50"), NEW_PRICE_DAY)
        say(f"  {change}.")
        self._night()

    def _put_trade_desk(self, day: date, given: Sequence[demo_data.Line], extra: Sequence[str] = ()) -> None:
        content = demo_data.trade_desk_file(given, extra)
        self.s3.put_object(Bucket=demo_data.BUCKET, Key=demo_data.trade_desk_key(day), Body=content)

    def _put_social(self, day: date, given: Sequence[demo_data.Line], suffix: str = "") -> None:
        content = demo_data.social_file(given)
        self.s3.put_object(Bucket=demo_data.BUCKET, Key=demo_data.social_key(day, suffix), Body=content)

    def _night(self) -> None:
        """Loads what is new, brings the marts up to date and says what that changed."""
        from loader.nightly.transform import transform

        feeds = read_feeds(self.feeds_file)
        results = load(self.db, feeds)
        _insist([f"{result.uri}: {result.message}" for result in results if result.status == "failed"])
        loaded, rejected = sum(one.loaded for one in results), sum(one.rejected for one in results)
        say(f"  Loaded {_count(len(results), 'file')}: {_count(loaded, 'row')}, {rejected:,} rejected.")
        before = _Marts.seen(self.db)
        nodes = transform(self.db, feeds)
        _insist([str(node) for node in nodes if node.failed])
        say(f"  {before.changes(_Marts.seen(self.db))}")


@dataclass(frozen=True, slots=True)
class _Marts:
    """Rows by id with their row version, and days with the moment they were built."""

    daily: Mapping[UUID, str]
    days: Mapping[tuple[UUID, date], str | None]

    @classmethod
    def seen(cls, db: Database) -> _Marts:
        with connect(db) as connection:
            if connection.execute("select to_regclass('media.daily_metrics')").fetchone() == (None,):
                return cls({}, {})  # before the first night
            daily = connection.execute("select id, xmin::text from media.daily_metrics").fetchall()
            days = connection.execute(
                "select client_id, date, fingerprint from media_ops.days_built"
            ).fetchall()
        return cls(dict(daily), {(client, day): mark for client, day, mark in days})

    def changes(self, later: _Marts) -> str:
        """Says in a sentence what a night changed."""
        new, gone = later.daily.keys() - self.daily.keys(), self.daily.keys() - later.daily.keys()
        both = later.daily.keys() & self.daily.keys()
        changed = sum(later.daily[row] != self.daily[row] for row in both)
        days = {key for key, mark in later.days.items() if self.days.get(key) != mark}
        parts = (
            f"{len(new):,} new, {changed:,} changed, {len(gone):,} gone, {len(both) - changed:,} untouched"
        )
        number = len({client for client, _ in days})
        return f"Recomputed {_count(len(days), 'day')} of {_count(number, 'client')}; daily rows: {parts}."


def _insist(failures: Sequence[str]) -> None:
    if failures:
        raise MediaError(f"the demo cannot go on: {'; '.join(failures[:3])}")


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _chapter(title: str) -> None:
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
    with connect(db, "media_reader") as connection:  # as a BI tool of the agency would
        for which, query in {"week": LAST_WEEK, "month": LAST_MONTH}.items():
            found = connection.execute(query.encode()).fetchall()
            title = f"The last {which}, {found[0][0]} to {found[0][1]}"
            _print(title, ("client", *FIGURES), [row[2:] for row in found])
        top = connection.execute(TOP_CAMPAIGNS.encode()).fetchall()
    columns = ("client", "rank", "campaign", "revenue", "spend", "roas")
    _print("The top campaigns of that month, by revenue", columns, top)


def _show_log(db: Database) -> None:
    with connect(db) as connection:
        state = status(connection, limit=6)
        bad = runs.rejects(connection)
    log = [(run.id, _key(run.file), run.status, run.loaded, run.rejected) for run in state.runs]
    _print("The latest runs of the loader", ("run", "file", "status", "loaded", "rejected"), log)
    rejected = [(_key(row.uri), row.line, row.reason, row.sentence) for row in bad]
    _print("What was rejected, and is kept", ("file", "line", "reason", "what is wrong"), rejected)


def _key(uri: str) -> str:
    return uri.removeprefix(f"s3://{demo_data.BUCKET}/")


def _print(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table; numbers stand on the right."""
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


def _say_how_to_look_further(directory: Path, server: Server) -> None:
    named = server.environment() | {"MEDIA_FEEDS": str(directory / "feeds.yml")}
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in named.items())
    profiles = f"--profiles-dir {shlex.quote(_short(directory))}"
    address = Embedded(directory).address(server)
    say("")
    say("How to look further: the demo's database keeps running. In this shell, from the checkout, type")
    say(f"  export {settings}")
    say("and then")
    say("  .venv/bin/media db psql         for SQL; try: select * from media.weekly_summaries;")
    say("  .venv/bin/media status          for the loader's log and what waits")
    say("  .venv/bin/media rejects         for the rejected rows as they were delivered")
    say(f"  .venv/bin/dbt docs generate {profiles} && .venv/bin/dbt docs serve {profiles}")
    say("                                  for every table, column and rule, with its lineage")
    if address:
        say(f"A BI tool connects to {address}")
    say(
        "When you have seen enough: .venv/bin/python -m loader.demo stop (the next demo starts afresh anyhow)"
    )


def _short(path: Path) -> str:
    inside = path.is_relative_to(CHECKOUT)
    return str(path.relative_to(CHECKOUT)) if inside else str(path)
