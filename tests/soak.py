"""Throw random histories at the product until stopped: `python -m tests.soak [MINUTES] [--seed SEED]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Run the histories of tests/python/test_histories.py for some minutes, or those of one seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=1e9, help="until stopped, if not given")
    parser.add_argument("--seed", type=int, help="the seed of a history that failed: play that one again")
    chosen = parser.parse_args()
    os.environ["SOAK_MINUTES"] = f"{chosen.minutes}"
    if chosen.seed is not None:
        os.environ["SOAK_SEED"] = f"{chosen.seed}"
    return pytest.main(["-q", "-n", "0", f"{Path(__file__).with_name('python') / 'test_histories.py'}"])


if __name__ == "__main__":
    sys.exit(main())
