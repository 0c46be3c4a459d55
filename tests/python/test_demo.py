"""`media demo` as a user runs it, with an environment that it must ignore."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
from conftest import MEDIA

from loader.database.choice import database
from loader.database.connection import connect
from loader.database.embedded import Embedded
from loader.demo.sample_data import DAYS
from loader.demo.scenario import AGENCY_LOGIN, CLIENT_LOGIN, DIRECTORY
from loader.project import CHECKOUT

UNUSABLE_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "PGHOST": "nowhere.invalid",
    "AWS_ENDPOINT_URL_S3": "http://nowhere.invalid",
    "AWS_PROFILE": "nobody",
    "DBT_TARGET": "production",
    "MEDIA_FEEDS": "/nonexistent/feeds.yml",
}


@pytest.fixture
def output() -> Iterator[str]:
    done = subprocess.run(
        [MEDIA, "demo"],
        env=UNUSABLE_ENVIRONMENT,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    try:
        assert (done.returncode, done.stderr) == (0, "")
        yield done.stdout
    finally:
        Embedded(DIRECTORY).stop()


def figures(query: str) -> list[tuple[object, ...]]:
    with database(DIRECTORY) as db, connect(db) as connection:
        return connection.execute(query.encode()).fetchall()


def visible_clients(port: str, login: str, passwords: dict[str, str]) -> list[str]:
    """Returns the clients whose figures a BI tool with this login sees; it is no superuser."""
    with psycopg.connect(
        host="127.0.0.1", port=port, dbname="media", user=login, password=passwords[login]
    ) as connection:
        assert connection.execute("select current_setting('is_superuser')").fetchone() == ("off",)
        query = """
            select distinct clients.name from media.daily_metrics
            inner join media.clients on clients.id = daily_metrics.client_id order by 1"""
        return [name for (name,) in connection.execute(query)]


def shown_in_the_readme() -> list[str]:
    """Returns the lines of the demo's output that README.md shows."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^\$ make demo\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [line for line in shown.splitlines() if line != "…"]


def test_the_demo_prints_each_night_and_leaves_correct_figures(output: str) -> None:
    """A single test, because two demos cannot run at the same time."""
    for line in (
        "Loaded 118 files: 5,310 rows, 0 rejected.",
        "Recomputed 177 days of 3 clients; daily rows: 5,310 new, 0 changed, 0 deleted, 0 unchanged.",
        "Recomputed 2 days of 2 clients; daily rows: 0 new, 10 changed, 0 deleted, 5,300 unchanged.",
        "Recomputed 1 day of 1 client; daily rows: 0 new, 0 changed, 10 deleted, 5,300 unchanged.",
        "Loaded 1 file: 60 rows, 3 rejected.",
        "Recomputed 1 day of 1 client; daily rows: 30 new, 0 changed, 0 deleted, 5,360 unchanged.",
        "Recomputed 12 days of 1 client; daily rows: 0 new, 360 changed, 0 deleted",
    ):
        assert line in output
    assert "Traceback" not in output
    assert [line for line in shown_in_the_readme() if line not in output.splitlines()] == []

    (port,) = re.findall(r"Connect a BI tool to 127.0.0.1, port (\d+), database media", output)
    passwords = dict(re.findall(r"^  (\w+), password (\S+) \(", output, re.MULTILINE))
    assert visible_clients(port, AGENCY_LOGIN, passwords) == [
        "Aurora Travel",
        "Café Zürich",
        "Northwind Coffee",
    ]
    assert visible_clients(port, CLIENT_LOGIN, passwords) == ["Aurora Travel"]
    assert passwords.keys() == {AGENCY_LOGIN, CLIENT_LOGIN}
    assert Embedded(DIRECTORY).cluster.password not in output

    sums = "sum(impressions), sum(clicks), sum(conversions), sum({revenue}), sum(spend)"
    daily = figures(f"select {sums.format(revenue='conversion_revenue')} from media.daily_metrics")
    for mart in ("weekly_summaries", "monthly_summaries"):
        assert figures(f"select {sums.format(revenue='revenue')} from media.{mart}") == daily

    days = figures("select client_id, count(distinct date) from media.daily_metrics group by client_id")
    assert [count for _, count in days] == [len(DAYS)] * 3
    wrong = """
        select count(*) from media.daily_metrics
        inner join media.clients on clients.id = daily_metrics.client_id
        where spend <> round(impressions * case
            when clients.name = 'Northwind Coffee' then 8.50 when clients.name <> 'Aurora Travel' then 6.75
            when date >= '2025-10-15' then 13.50 else 12.00 end / 1000, 2)"""
    assert figures(wrong) == [(0,)]
    rejected = "select reason from media_ops.rejected_rows order by line_number"
    assert figures(rejected) == [("client",), ("number",), ("date",)]
