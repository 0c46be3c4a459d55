"""Runs new random histories, or those of one seed; only tests/soak.py runs this file."""

from __future__ import annotations

import functools
import json
import math
import os
import random
import time
from pathlib import Path

import pytest
from conftest import S3
from product import fresh_product
from test_histories import EVENTS, Histories, Loads, run_histories

from loader.database.server import Server


def test_product_and_model_agree_on_new_histories(
    server: Server, s3: S3, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen: dict[str, float] = json.loads(os.environ["SOAK"])
    kind, option = (Loads, "--loads ") if chosen["loads"] else (Histories, "")
    started = time.monotonic()
    while True:
        seed = int(chosen.get("seed", random.SystemRandom().randrange(2**32)))
        done = "failed; to run it again:"
        try:
            open_product = functools.partial(fresh_product, server, s3, tmp_path)
            run_histories(open_product, seed, examples=8, steps=20, shrink="seed" in chosen, kind=kind)
            done = "passed; to run it again:"
        finally:
            minutes = (time.monotonic() - started) / 60
            events = ", ".join(
                f"{count} {what}" for what, count in sorted(EVENTS.items()) if what != "histories"
            )
            with capsys.disabled():
                print(f'\nseed {seed} {done} make soak ARGS="{option}--seed {seed}"', flush=True)
                print(f"{EVENTS['histories']} histories in {minutes:.1f} minutes: {events}", flush=True)
        enough = EVENTS["histories"] >= chosen.get("histories", math.inf)
        if "seed" in chosen or enough or minutes > chosen["minutes"]:
            break
