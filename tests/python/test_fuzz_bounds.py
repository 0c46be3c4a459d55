"""Memory stays bounded for hostile files, and every line is staged or rejected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import MEDIA, S3
from hostile import HOSTILE
from product import Product, fresh_product

from loader.database.server import Server
from loader.project import CHECKOUT

READ_MB = 256
"""Limit for reading one file: the largest window of an archive is 128 MB, and reading needs some more."""
LOAD_MB = 400
"""Limit for `media load`: its libraries, and two ordinary files at once."""


# A process inherits the peak of its parent, and pytest's is high: this small process runs in between.
SMALL_PARENT = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode;"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gives_rows_or_a_sentence_within_the_memory_limit(name: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            SMALL_PARENT,
            sys.executable,
            Path(__file__).with_name("hostile.py"),
            "read",
            name,
        ],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=600,  # only against a hang
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[0])
    assert found["grown_mb"] < READ_MB, found
    assert "\n" not in found["message"]
    assert found["message"] or found["staged"] + found["rejected"] or name == "carriage returns only"


FEED: dict[str, Any] = {
    "location": "s3://drops/a/",
    "max_rejected": 1,
    "client": {"column": "Who"},
    "columns": {"date": "Date", "campaign_name": "Name", "impressions": "Imps"},
}


@pytest.fixture
def product(server: Server, s3: S3, tmp_path: Path) -> Iterator[Product]:
    with fresh_product(server, s3, tmp_path) as opened:
        opened.feeds({"a": FEED})
        opened.add_client("Acme")
        yield opened


def test_every_line_is_staged_or_rejected_within_the_memory_limit(product: Product) -> None:
    """Impressions are the line number; every third line is bad and long."""
    count = 120_000
    lines = ["Date,Who,Imps,Name"]
    for number in range(2, count + 2):
        bad = number % 3 == 0
        lines.append(f"2024-01-05,Acme,{'x' * 600 if bad else number},{'Summer' if number % 5 else 'A'}")
    product.put("a/1.csv", "\n".join(lines).encode(), datetime(2024, 1, 6, tzinfo=UTC))
    done = subprocess.run(
        [sys.executable, "-c", SMALL_PARENT, MEDIA, "load"],
        env=product.env,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout.splitlines()[-1]) < LOAD_MB * 1024
    staged = {row["impressions"] for row in product.query("select impressions from media.staging_media_raw")}
    found = product.query("select line_number, raw_line from media_ops.rejected_rows")
    rejected = {row["line_number"] for row in found}
    assert not staged & rejected and staged | rejected == set(range(2, count + 2))
    assert {row["raw_line"] for row in found} <= set(lines)
