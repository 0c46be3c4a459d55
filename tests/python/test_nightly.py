"""The nightly flow, on Prefect's test harness, a real PostgreSQL and moto's S3."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import S3

from loader.agency.clients import add_client
from loader.database import libpq
from loader.database.connection import Database, connect
from loader.errors import MediaError
from loader.ingestion.task import Result
from loader.nightly.outcome import NightlyError, days_recomputed, markdown, message, only_nightly_flow
from loader.nightly.transform import NodeResult

FEEDS = r"""
feeds:
  ttd:
    location: s3://drops/ttd/
    key_pattern: '(?P<date>\d{4}-\d{2}-\d{2})\.csv$'
    client: {column: Advertiser}
    columns: &columns {date: Date, campaign_name: Campaign, impressions: Imps}
  latest:
    location: s3://archive/
    same_key: adds
    client: {column: Advertiser}
    columns: *columns
"""
GOOD = "Date,Advertiser,Campaign,Imps\n2025-01-02,Acme,Spring,100\n"
BROKEN = "Something,Else\n1,2\n"


@pytest.fixture
def nightly_database(
    database: Database, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    feeds = tmp_path / "feeds.yml"
    feeds.write_text(FEEDS)
    monkeypatch.setenv("MEDIA_FEEDS", f"{feeds}")
    monkeypatch.setenv("DBT_LOG_LEVEL_FILE", "none")  # dbt does not close its log when it runs again
    s3.bucket()
    s3.bucket("archive")
    s3.client.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})
    with connect(database) as connection:
        add_client(connection, "Acme")
    with libpq.environment(database.env):
        yield database


def test_a_broken_file_fails_the_flow_but_other_files_are_loaded_and_built(
    nightly_database: Database, s3: S3
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.testing.utilities import prefect_test_harness

    from flows.nightly import nightly

    s3.put("ttd/2025-01-02.csv", GOOD + "2025-01-02,Acme,,100\n")  # a total
    s3.put("ttd/2025-01-03.csv", BROKEN)
    for content in (BROKEN, GOOD, GOOD.replace("02", "01")):
        s3.put("latest.csv", content, "archive")
    with prefect_test_harness(server_startup_timeout=90):
        state = nightly(return_state=True)
        with get_client(sync_client=True) as client:
            artifacts = {one.key: f"{one.data}" for one in client.read_artifacts()}
        backfill: Any = {"rebuild_from": "2025-01-02", "rebuild_to": "2025-01-02", "client": "acme"}
        again = nightly(feed="ttd", key="ttd/2025-01-02.csv", **backfill, return_state=True)
        with get_client(sync_client=True) as client:
            pages = [one.data for one in client.read_artifacts() if one.key == "nightly"]
    assert again.is_completed()
    assert sum("2 days (counted per client)" in f"{page}" for page in pages) == 1
    assert state.is_failed()
    assert state.message and "s3://drops/ttd/2025-01-03.csv: " in state.message
    assert "2025-01-02.csv" not in state.message
    with connect(nightly_database) as connection:
        found = connection.execute("select sum(impressions), count(*) from media.daily_metrics").fetchone()
        runs = connection.execute("select object_key from media.ingestion_logs order by 1").fetchall()
    assert found == (400, 3)
    latest, days = "latest.csv", ("ttd/2025-01-02.csv", "ttd/2025-01-02.csv", "ttd/2025-01-03.csv")
    assert [key for (key,) in runs] == [latest, latest, latest, *days]
    assert "2025-01-02.csv (ttd): 2 rows" in artifacts["nightly"]
    assert "2025-01-02.csv has a row without names that contains the sum" in artifacts["nightly"]
    files = [
        (row["uri"][-14:], row["status"], len(row["notices"]))
        for row in json.loads(artifacts["nightly-files"])
    ]
    assert sorted(files) == [
        ("2025-01-02.csv", "loaded", 1),
        ("2025-01-03.csv", "failed", 0),
        ("ive/latest.csv", "failed", 0),
        ("ive/latest.csv", "loaded", 0),
        ("ive/latest.csv", "loaded", 0),
    ]
    nodes = {row["node"]: row for row in json.loads(artifacts["nightly-dbt-nodes"])}
    assert nodes["daily_metrics"]["state"] == "success"
    assert nodes["daily_metrics"]["seconds"] > 0


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"feed": "nope"}, "feeds.yml has no feed nope; its feeds are: ttd"),
        ({"feed": 5}, "feed is 5: give a text"),
        ({"key": "ttd/nope.csv"}, "no object ttd/nope.csv matches a feed"),
        ({"retry": "maybe"}, "retry is 'maybe': give true or false"),
        ({"client": "Nobody"}, "there is no client Nobody"),
        ({"rebuild_from": "2025-02-31"}, "rebuild_from is '2025-02-31', which is not a date"),
        ({"rebuild_to": 20250131}, "rebuild_to is 20250131, which is not a date"),
        (
            {"rebuild_from": "2025-02-01", "rebuild_to": "2025-01-01"},
            "the first day to rebuild, 2025-02-01, is later than the last, 2025-01-01",
        ),
    ],
)
def test_a_wrong_parameter_fails_the_flow_before_it_loads_anything(
    nightly_database: Database, s3: S3, parameters: Any, sentence: str
) -> None:
    from flows.nightly import nightly

    s3.put("ttd/2025-01-02.csv", GOOD)
    with pytest.raises(MediaError, match=re.escape(sentence)):
        nightly.fn(**parameters)
    with connect(nightly_database) as connection:
        assert connection.execute("select count(*) from media.ingestion_logs").fetchone() == (0,)


def test_two_nightly_flows_never_overlap(nightly_database: Database, s3: S3) -> None:
    from flows.nightly import nightly

    s3.put("ttd/2025-01-02.csv", GOOD)
    with only_nightly_flow(nightly_database), pytest.raises(NightlyError, match="another nightly flow"):
        nightly.fn()
    with connect(nightly_database) as connection:
        assert connection.execute("select count(*) from media.ingestion_logs").fetchone() == (0,)
    with only_nightly_flow(nightly_database):
        pass


def test_a_build_without_a_work_list_of_its_own_recomputed_no_days() -> None:
    assert days_recomputed([]) == 0
    assert days_recomputed([NodeResult("int_days_to_rebuild", "error", "x", 0.1, None, 7)]) == 0


def test_markdown_and_html_in_a_key_are_escaped() -> None:
    page = markdown([Result("f", "s3://b/<b>*x*", "loaded", "1 row", loaded=1)], [], 0, [])
    assert r"s3://b/&lt;b&gt;\*x\*" in page


def test_the_message_names_the_first_failures_and_counts_the_rest() -> None:
    assert message(["a: x", "b: y"]) == "a: x; b: y"
    assert message([f"{number}" for number in range(23)]).endswith("19; and 3 more: see `media status`")
