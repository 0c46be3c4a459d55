"""New random histories until stopped, or those of one seed; collected by tests/soak.py alone."""

from __future__ import annotations

import functools
import json
import os
import random
import time
from pathlib import Path

import pytest
from conftest import S3
from product import product
from test_histories import PLAYED, play

from loader.database.server import Server


def test_new_histories(server: Server, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Model and product agree, whatever happens."""
    chosen: dict[str, float] = json.loads(os.environ["SOAK"])
    begun = time.monotonic()
    while True:
        seeded = int(chosen.get("seed", random.SystemRandom().randrange(2**32)))
        done = "failed: play it again with"
        try:
            open_product = functools.partial(product, server, s3, tmp_path)
            play(open_product, seeded, examples=8, steps=50, shrink="seed" in chosen)
            done = "agreed:"
        finally:
            minutes = (time.monotonic() - begun) / 60
            played = ", ".join(f"{count} {what}" for what, count in sorted(PLAYED.items()))
            with capsys.disabled():
                print(f'\nseed {seeded} {done} make soak ARGS="--seed {seeded}"', flush=True)
                print(f"in {minutes:.1f} minutes: {played}", flush=True)
        if "seed" in chosen or minutes > chosen["minutes"]:
            break
