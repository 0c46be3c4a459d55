"""S3 is down or slow, answers 500, drops the connection, or has the object replaced while it is read.

A real HTTP proxy in front of moto's server causes these faults.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from conftest import S3
from faults import RunningCommand, Scenario, copied_scenario, rows, wait_for
from proxy import Fault, Proxy, proxied

from loader.database.server import Server
from loader.ingestion.s3 import CONFIG, S3Error, list_objects, open_object

KEY = "a/1.csv"
# Two megabytes, so that it is read in several pieces; rows are long, because the model is slow per row.
BIG = rows(20_000, "Summer" + " of long names" * 6)
HALF = len(BIG) // 2 + 200_000  # within the second piece


@pytest.fixture
def proxy(s3: S3) -> Iterator[Proxy]:
    with proxied(s3.endpoint) as opened:
        yield opened


@pytest.fixture
def scenario(server: Server, s3: S3, proxy: Proxy, tmp_path: Path) -> Iterator[Scenario]:
    behind = replace(s3, env={**s3.env, "AWS_ENDPOINT_URL_S3": proxy.url})
    with copied_scenario(server, behind, tmp_path) as opened:
        proxy.requests.clear()
        yield opened


def test_temporary_faults_are_retried_and_no_row_is_lost_or_read_twice(
    scenario: Scenario, proxy: Proxy
) -> None:
    proxy.faults.extend([Fault(status=500), Fault(status=503), Fault(after=0, cut=True)])
    proxy.faults.extend([Fault(after=HALF, cut=True), Fault(after=100, cut=True), Fault(pause=0.0001)])
    scenario.put(KEY, BIG, 2)
    scenario.load_and_build()
    assert not proxy.faults
    assert scenario.runs()[1:] == [("success", "20,000 rows", None)]
    tags = {match for _, _, match in proxy.requests}
    assert len(tags) == 1 and None not in tags  # every request is for the version that was listed
    ranges = [requested for _, requested, _ in proxy.requests]
    assert ranges[:4] == [None] * 4 and re.fullmatch(r"bytes=[1-9]\d+-", ranges[5] or "")


@pytest.mark.parametrize(
    "fault",
    [Fault(status=503), Fault(after=0, cut=True)],
    ids=["503", "dropped"],
)
def test_a_permanent_fault_fails_the_run_and_the_next_load_succeeds(
    scenario: Scenario, proxy: Proxy, fault: Fault
) -> None:
    proxy.always = fault
    scenario.put(KEY, BIG, 2)
    output = scenario.product.load(expect=[1]).stderr
    assert output.count("\n") == 1 and KEY in output
    scenario.expect_failed_load(KEY)
    ((status, message, failure),) = scenario.runs()[1:]
    assert (status, failure) == ("failed", "outside") and message in output
    proxy.remove_faults()
    scenario.load_and_build()


@pytest.mark.parametrize("pack", [bytes, lambda content: gzip.compress(content, 1)], ids=["plain", "gzip"])
def test_rows_of_two_versions_of_an_object_are_never_mixed(
    scenario: Scenario, proxy: Proxy, pack: object
) -> None:
    packed: bytes = pack(BIG)  # type: ignore[operator]
    half = len(packed) // 2
    scenario.put(KEY, packed, 2)

    def replaced() -> None:
        scenario.put(KEY, rows(25, "Autumn"), 3)

    proxy.faults.append(Fault(after=half, then=replaced, cut=True))
    output = scenario.product.load(expect=[1]).stderr
    assert "was replaced while being read" in output
    assert len(scenario.product.query("select 1 from media.staging_media_raw")) == 20
    newer = scenario.model.bucket["drops", KEY]
    scenario.model.put("drops", KEY, packed, newer.last_modified.replace(hour=2), '"as it was listed"')
    scenario.expect_failed_load(KEY)
    scenario.model.bucket["drops", KEY] = newer
    scenario.load_and_build()


def test_if_s3_is_down_the_load_fails_with_one_sentence_and_records_no_run(
    scenario: Scenario, proxy: Proxy
) -> None:
    scenario.put(KEY, rows(30, "Summer"), 2)
    down = replace(
        scenario.product, s3=replace(scenario.product.s3, env={**scenario.product.s3.env, **UNUSED_PORT})
    )
    output = down.load(expect=[1]).stderr
    assert output.count("\n") == 1 and "s3://drops/a/" in output
    assert len(scenario.runs()) == 1
    scenario.load_and_build()


UNUSED_PORT = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}  # nothing listens on it


def test_a_read_from_an_s3_that_stops_sending_times_out(s3: S3, proxy: Proxy) -> None:
    """The product waits a minute for the next byte; this test waits half a second, with the same reader."""
    s3.bucket()
    s3.put("x", BIG)
    config = CONFIG.merge(Config(read_timeout=0.5, retries={"max_attempts": 1}))
    client = boto3.client("s3", endpoint_url=proxy.url, config=config)
    (listed,) = list_objects(client, "drops", "")
    pause = Pause()
    proxy.always = Fault(after=1000, then=pause.wait)
    with open_object(client, listed) as reader, pytest.raises(S3Error, match="could not be read"):
        reader.stream().read()
    pause.end()
    client.close()


class Pause:
    """Blocks a thread of the proxy until the test ends it."""

    def __init__(self) -> None:
        self.ended = False
        self.waiting = 0

    def wait(self) -> None:
        self.waiting += 1
        wait_for("the end of the pause", lambda: self.ended)

    def end(self) -> None:
        self.ended = True


def test_a_loader_killed_in_the_middle_of_an_object_leaves_no_rows_of_it(
    scenario: Scenario, proxy: Proxy
) -> None:
    scenario.put(KEY, BIG, 2)
    pause = Pause()
    proxy.faults.append(Fault(after=HALF, then=pause.wait))
    command = RunningCommand(scenario.product, "load")
    command.wait_until("half an object", lambda: pause.waiting == 1)
    command.wait_until("rows sent by COPY", lambda: bool(scenario.product.query(COPYING)))
    command.kill()
    pause.end()
    scenario.expect_failed_load(KEY)
    scenario.load_and_build()


WAITING = "select 1 from pg_stat_activity where wait_event = 'transactionid' and query like '%lock_object%'"
COPYING = "select 1 from pg_stat_progress_copy where tuples_processed > 1000"


def test_two_loaders_in_parallel_load_each_object_once(scenario: Scenario, proxy: Proxy) -> None:
    scenario.put(KEY, BIG, 2)
    pause = Pause()
    proxy.faults.append(Fault(after=HALF, then=pause.wait))
    first = RunningCommand(scenario.product, "load")
    first.wait_until("half an object", lambda: pause.waiting == 1)
    second = RunningCommand(scenario.product, "load")
    second.wait_until("a session that waits for the object", lambda: bool(scenario.product.query(WAITING)))
    time.sleep(2.5)  # the second says for whom it waits after 2 seconds
    pause.end()
    assert "20,000 rows loaded" in first.finish()
    output = second.finish()
    assert "0 rows loaded" in output
    assert re.search(r"waiting for media of \S+ \(pid \d+, since \S+ UTC\)", output)
    scenario.expect_load()
    assert len(scenario.runs()) == 2
