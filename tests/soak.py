"""Throw random histories at the product until stopped: `python -m tests.soak [MINUTES] [--seed SEED]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Run the histories of tests/python/soak_histories.py for some minutes, or those of one seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=1e9, help="until stopped, if not given")
    parser.add_argument("--seed", type=int, help="the seed of a history that failed: play that one again")
    chosen = parser.parse_args()
    os.environ["SOAK"] = json.dumps(
        {name: value for name, value in vars(chosen).items() if value is not None}
    )
    return pytest.main(["-q", "-n", "0", f"{Path(__file__).with_name('python') / 'soak_histories.py'}"])


if __name__ == "__main__":
    sys.exit(main())
