"""An S3 that is down, slow, answers 500, cuts the connection, or has the object replaced while it is read.

A real HTTP proxy stands in front of moto's server and misbehaves on demand.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from conftest import S3
from faults import Victim, World, a_world, rows, wait_for
from proxy import Fault, Proxy, proxied

from loader.database.server import Server
from loader.ingestion.s3 import CONFIG, S3Error, list_objects, open_object

KEY = "a/1.csv"
# Two megabytes, read in more than one piece; of long rows, as the model reads them one by one.
BIG = rows(20_000, "Summer" + " of long names" * 6)
HALF = len(BIG) // 2 + 200_000  # within the second


@pytest.fixture
def proxy(s3: S3) -> Iterator[Proxy]:
    with proxied(s3.endpoint) as made:
        yield made


@pytest.fixture
def world(server: Server, s3: S3, proxy: Proxy, tmp_path: Path) -> Iterator[World]:
    behind = replace(s3, env={**s3.env, "AWS_ENDPOINT_URL_S3": proxy.url})
    with a_world(server, behind, tmp_path) as made:
        proxy.requests.clear()
        yield made


def test_what_passes_is_retried_and_nothing_is_lost_or_read_twice(world: World, proxy: Proxy) -> None:
    proxy.faults.extend([Fault(status=500), Fault(status=503), Fault(after=0, cut=True)])
    proxy.faults.extend([Fault(after=HALF, cut=True), Fault(after=100, cut=True), Fault(pause=0.0001)])
    world.put(KEY, BIG, 2)
    world.night()
    assert not proxy.faults
    assert world.log()[1:] == [("success", "20,000 rows", None)]
    tags = {match for _, _, match in proxy.requests}
    assert len(tags) == 1 and None not in tags  # every request is for the one state that was listed
    ranges = [wanted for _, wanted, _ in proxy.requests]
    assert ranges[:4] == [None] * 4 and re.fullmatch(r"bytes=[1-9]\d+-", ranges[5] or "")


@pytest.mark.parametrize(
    "fault",
    [Fault(status=503), Fault(after=0, cut=True)],
    ids=["503", "cut"],
)
def test_what_stays_is_a_failed_run_and_the_next_night_completes(
    world: World, proxy: Proxy, fault: Fault
) -> None:
    proxy.always = fault
    world.put(KEY, BIG, 2)
    said = world.product.load(expect=[1]).stderr
    assert said.count("\n") == 1 and KEY in said
    world.failed(KEY)
    ((status, message, failure),) = world.log()[1:]
    assert (status, failure) == ("failed", "outside") and message in said
    proxy.heal()
    world.night()


@pytest.mark.parametrize("pack", [bytes, lambda content: gzip.compress(content, 1)], ids=["plain", "gzip"])
def test_an_object_replaced_while_it_is_read_is_never_mixed(world: World, proxy: Proxy, pack: object) -> None:
    packed: bytes = pack(BIG)  # type: ignore[operator]
    half = len(packed) // 2
    world.put(KEY, packed, 2)

    def replaced() -> None:
        world.put(KEY, rows(25, "Autumn"), 3)

    proxy.faults.append(Fault(after=half, then=replaced, cut=True))
    said = world.product.load(expect=[1]).stderr
    assert "was replaced while being read" in said
    assert len(world.product.query("select 1 from media.staging_media_raw")) == 20
    new = world.model.bucket["drops", KEY]
    world.model.put("drops", KEY, packed, new.last_modified.replace(hour=2), '"as it was listed"')
    world.failed(KEY)
    world.model.bucket["drops", KEY] = new
    world.night()


def test_an_s3_that_is_down_stops_the_load_with_a_sentence_and_no_build(world: World, proxy: Proxy) -> None:
    world.put(KEY, rows(30, "Summer"), 2)
    down = replace(world.product, s3=replace(world.product.s3, env={**world.product.s3.env, **NOBODY}))
    said = down.load(expect=[1]).stderr
    assert said.count("\n") == 1 and "s3://drops/a/" in said
    assert len(world.log()) == 1
    world.night()


NOBODY = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}  # a port that no one listens on


def test_an_s3_that_falls_silent_is_given_up(s3: S3, proxy: Proxy) -> None:
    """The product waits a minute for the next byte; here it is half a second, through the same reader."""
    s3.bucket()
    s3.put("x", BIG)
    config = CONFIG.merge(Config(read_timeout=0.5, retries={"max_attempts": 1}))
    client = boto3.client("s3", endpoint_url=proxy.url, config=config)
    (listed,) = list_objects(client, "drops", "")
    silence = Silence()
    proxy.always = Fault(after=1000, then=silence.wait)
    with open_object(client, listed) as reader, pytest.raises(S3Error, match="could not be read"):
        reader.stream().read()
    silence.end()
    client.close()


class Silence:
    """Something that a thread of the proxy waits for."""

    def __init__(self) -> None:
        self.ended = False
        self.waiting = 0

    def wait(self) -> None:
        self.waiting += 1
        wait_for("the end of the silence", lambda: self.ended)

    def end(self) -> None:
        self.ended = True


def test_a_loader_killed_in_the_middle_of_an_object_leaves_nothing_of_it(world: World, proxy: Proxy) -> None:
    world.put(KEY, BIG, 2)
    silence = Silence()
    proxy.faults.append(Fault(after=HALF, then=silence.wait))
    victim = Victim(world.product, "load")
    victim.until("half an object", lambda: silence.waiting == 1)
    victim.until("rows under COPY", lambda: bool(world.product.query(COPYING)))
    victim.kill()
    silence.end()
    world.failed(KEY)
    world.night()


WAITING = "select 1 from pg_stat_activity where wait_event = 'advisory' and query like '%pg_advisory_lock%'"
COPYING = "select 1 from pg_stat_progress_copy where tuples_processed > 1000"


def test_two_loaders_at_once_load_each_object_once(world: World, proxy: Proxy) -> None:
    world.put(KEY, BIG, 2)
    silence = Silence()
    proxy.faults.append(Fault(after=HALF, then=silence.wait))
    first = Victim(world.product, "load")
    first.until("half an object", lambda: silence.waiting == 1)
    second = Victim(world.product, "load")
    second.until("a wait for the object", lambda: bool(world.product.query(WAITING)))
    silence.end()
    assert "20,000 rows loaded" in first.ends()
    assert "0 rows loaded" in second.ends()
    world.loaded()
    assert len(world.log()) == 2
