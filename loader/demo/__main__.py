"""Stops the demo's database, which otherwise stays for looking further: `python -m loader.demo stop`."""

from __future__ import annotations

import sys

from loader.console import say
from loader.database.embedded import Embedded
from loader.demo.story import DIRECTORY

if sys.argv[1:] != ["stop"]:
    sys.exit("usage: python -m loader.demo stop")
say("stopped" if Embedded(DIRECTORY).stop() else "it was not running")
