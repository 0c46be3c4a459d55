"""The file formats: one module for each. A format is a function that reads a stream of bytes as a Table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO

from loader.files.feeds import Format
from loader.files.formats import csv
from loader.files.records import Table

FORMATS: Mapping[str, Callable[[BinaryIO, Format], Table]] = {"csv": csv.read}
"""By `format.type` of feeds.yml; ContentError where the file is not of that format, or has no header."""
