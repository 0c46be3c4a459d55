"""Many keys: `media load --dry-run` against the AWS SDK's own listing of the same bucket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta

from loader.database.connection import Database, connect
from loader.ingestion.s3 import list_objects
from tests.bench.environment import Bench
from tests.bench.table import Fact, Line, alternate, progress

BUCKET = "keys"
KEYS = 20_000
FEEDS = [f"partner{number}" for number in range(10)]
FEED = """\
  {name}:
    location: s3://{bucket}/{name}/
    key_pattern: '(?P<date>\\d{{4}}-\\d{{2}}-\\d{{2}})_.*\\.csv$'
    client: {{column: Advertiser}}
    columns: {{date: Date, impressions: Imps}}
"""
LISTING = f"""
import boto3
pages = boto3.client("s3").get_paginator("list_objects_v2")
keys = [key for feed in {FEEDS} for page in pages.paginate(Bucket="{BUCKET}", Prefix=f"{{feed}}/")
        for key in page["Contents"]]
assert len(keys) == {KEYS}
"""
RUNS = """
insert into media.ingestion_logs (
    status, message, feed, feed_location, bucket, object_key, object_uri, etag, last_modified, size_bytes
) values ('success', '', %s, %s, %s, %s, %s, %s, %s, %s)
"""


def measure(bench: Bench, runs: int) -> Iterator[Line | Fact]:
    """Yields the lines for a bucket of which everything is new, and of which nothing is."""
    feeds = bench.directory / "keys.yml"
    feeds.write_text("feeds:\n" + "".join(FEED.format(name=name, bucket=BUCKET) for name in FEEDS))
    bench = replace(bench, env={**bench.env, "MEDIA_FEEDS": str(feeds)})
    progress(f"putting {KEYS:,} keys")
    _put_keys(bench)
    db = bench.new_database("keys")
    for state in ("new", "known"):
        what = f"load --dry-run, every key {state}"
        floor, ours = alternate(
            what,
            runs,
            lambda: bench.run(db, sys.executable, "-c", LISTING).seconds,
            lambda: bench.media(db, "load", "--dry-run").seconds,
        )
        yield Line(what, f"{KEYS:,} keys", floor, ours, "")
        yield Fact(f"{what}, beyond the listing", "", f"{min(ours) - min(floor):.2f} s", "≤ 2 s")
        if state == "new":
            _record_runs(bench, db)


def _put_keys(bench: Bench) -> None:
    bench.s3.create_bucket(Bucket=BUCKET)
    days = [date(2025, 1, 1) + timedelta(number) for number in range(KEYS // len(FEEDS))]
    keys = [f"{name}/{day}_report.csv" for name in FEEDS for day in days]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: bench.s3.put_object(Bucket=BUCKET, Key=key, Body=b"Date,Imps\n"), keys))


def _record_runs(bench: Bench, db: Database) -> None:
    """Records a run of every object, so that all are known."""
    with closing(connect(db)) as connection, connection.cursor() as cursor:
        cursor.executemany(
            RUNS,
            [
                (
                    name,
                    f"s3://{BUCKET}/{name}/",
                    BUCKET,
                    obj.key,
                    obj.uri,
                    obj.etag,
                    obj.last_modified,
                    obj.size,
                )
                for name in FEEDS
                for obj in list_objects(bench.s3, BUCKET, f"{name}/")
            ],
        )
        connection.commit()
    bench.sql(db, "analyze media.ingestion_logs")
