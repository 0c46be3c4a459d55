"""Test the product with random histories until stopped: `python -m tests.soak [MINUTES] [--seed SEED]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pytest


def main() -> int:
    """Runs tests/python/soak_histories.py for some minutes, or the histories of one seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "minutes", type=float, nargs="?", default=1e9, help="how long to run; default: until stopped"
    )
    parser.add_argument("--seed", type=int, help="run the histories of this seed again, and shrink a failure")
    chosen = parser.parse_args()
    os.environ["SOAK"] = json.dumps(
        {name: value for name, value in vars(chosen).items() if value is not None}
    )
    return pytest.main(["-q", "-n", "0", f"{Path(__file__).with_name('python') / 'soak_histories.py'}"])


if __name__ == "__main__":
    sys.exit(main())
