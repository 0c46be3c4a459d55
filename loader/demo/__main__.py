"""Stops the demo's database, which keeps running after the demo: `python -m loader.demo stop`."""

from __future__ import annotations

import sys

from loader.console import say
from loader.database.embedded import Embedded
from loader.demo.scenario import DIRECTORY

if sys.argv[1:] != ["stop"]:
    sys.exit("usage: python -m loader.demo stop")
say("stopped" if Embedded(DIRECTORY).stop() else "the demo's database was not running")
