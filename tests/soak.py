"""Test the product with random histories: `python -m tests.soak [MINUTES] [--histories N] [--loads]`.

Several can run at the same time: each has a PostgreSQL and an S3 of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Runs tests/python/soak_histories.py until enough minutes or histories are over, or with one seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "minutes", type=float, nargs="?", default=1e9, help="how long to run; default: until stopped"
    )
    parser.add_argument("--histories", type=int, help="how many histories to run at least")
    parser.add_argument(
        "--loads", action="store_true", help="only load, and compare which rows are live: ten times faster"
    )
    parser.add_argument("--seed", type=int, help="run the histories of this seed again, and shrink a failure")
    chosen = parser.parse_args()
    os.environ["SOAK"] = json.dumps(
        {name: value for name, value in vars(chosen).items() if value is not None}
    )
    return pytest.main(["-q", "-n", "0", f"{Path(__file__).with_name('python') / 'soak_histories.py'}"])


if __name__ == "__main__":
    sys.exit(main())
