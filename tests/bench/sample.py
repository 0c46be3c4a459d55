"""The files to load, with twenty clients; every run has the same figures."""

from __future__ import annotations

import gzip
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import zstandard

from loader.agency.clients import add_client
from loader.agency.cpms import set_cpm
from loader.database.connection import Database, connect
from tests.bench.environment import BUCKET

CLIENTS = [f"Client {number:02d} Holdings" for number in range(1, 21)]
LAST_DAY = date(2025, 9, 10)
"""The tenth of a month: a short and a long history then have the same days in the current month to sum."""
DAYS = 50
HEADER = "Date,Advertiser,Campaign,Strategy,Placement,Creative,Imps,Clicks,CTR,Conversions,Revenue\n"
FEEDS = f"""\
feeds:
  bench:
    location: s3://{BUCKET}/drops/
    client: {{column: Advertiser}}
    columns:
      date: Date
      campaign_name: Campaign
      strategy_name: Strategy
      placement_name: Placement
      creative_name: Creative
      impressions: Imps
      clicks: Clicks
      ctr: CTR
      conversions: Conversions
      conversion_revenue: Revenue
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """Sample data with `rows` rows in DAYS days, and as many rows per day in other numbers of days.

    Every creative delivers every day, or, with `many_names`, a random fifth of the creatives.
    """

    rows: int
    many_names: bool = False
    last_day: date = LAST_DAY

    @property
    def rows_per_day(self) -> int:
        """The number of rows per day."""
        return max(self.rows // DAYS // len(CLIENTS), 1) * len(CLIENTS)

    def days(self, rows: int) -> list[date]:
        """Returns the days up to `last_day` that have about `rows` rows."""
        count = max(rows // self.rows_per_day, 1)
        return [self.last_day - timedelta(days=back) for back in reversed(range(count))]

    def write(self, file: Path, days: Sequence[date], version: int = 0) -> Path:
        """Writes a file with these days; each version of a day has other figures."""
        with file.open("w", encoding="utf-8", newline="") as stream:
            stream.write(HEADER)
            for day in days:
                stream.writelines(self._lines(day, version))
        return file

    def _lines(self, day: date, version: int) -> Iterator[str]:
        generator = random.Random(f"{day}{version or ''}")
        chance = generator.random
        for path in self._random_paths(generator) if self.many_names else self._paths():
            impressions = int(chance() * 200_000)
            clicks = int(impressions * chance() / 50)
            conversions = int(clicks * chance() / 20)
            ctr = clicks / impressions if impressions else 0
            revenue = conversions * chance() * 90
            yield f"{day},{path},{impressions},{clicks},{ctr:.6f},{conversions},{revenue:.2f}\n"

    def _paths(self) -> Iterator[str]:
        """Yields the client and names of every creative, as in a line of the file."""
        for client in CLIENTS:
            for number in range(self.rows_per_day // len(CLIENTS)):
                campaign, strategy, placement = number // 100, number // 20 % 5, number // 5 % 4
                yield (
                    f"{client},Always on {campaign:03d} awareness,Strategy {strategy} retargeting,"
                    f"Placement {placement} run of network,Creative {number:06d} 300x250"
                )

    def _random_paths(self, generator: random.Random) -> Iterator[str]:
        """Yields a random fifth of the creatives; a client has 10 campaigns, 200 placements."""
        for number in generator.sample(range(5 * self.rows_per_day), self.rows_per_day):
            number, client = divmod(number, len(CLIENTS))
            number, campaign = divmod(number, 10)
            number, strategy = divmod(number, 4)
            creative, placement = divmod(number, 5)
            yield (
                f"{CLIENTS[client]},Always on {campaign:03d} awareness,Strategy {strategy} retargeting,"
                f"Placement {placement} run of network,Creative {creative:06d} 300x250"
            )


def split_days(days: Sequence[date], parts: int) -> list[Sequence[date]]:
    """Splits days into `parts` consecutive parts of about the same length."""
    bounds = [len(days) * part // parts for part in range(parts + 1)]
    return [days[start:end] for start, end in pairwise(bounds) if end > start]


def gzip_copy(file: Path) -> Path:
    """Writes a gzip copy of the file."""
    target = file.with_name(f"{file.name}.gz")
    with file.open("rb") as source, gzip.open(target, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(source, packed, 1 << 20)
    return target


def zstd_copy(file: Path) -> Path:
    """Writes a zstd copy of the file."""
    target = file.with_name(f"{file.name}.zst")
    with file.open("rb") as source, target.open("wb") as packed:
        zstandard.ZstdCompressor().copy_stream(source, packed)
    return target


def add_clients(db: Database) -> None:
    """Adds the clients, each with a CPM from the beginning."""
    with closing(connect(db, autocommit=True)) as connection:
        for name in CLIENTS:
            set_cpm(connection, add_client(connection, name), Decimal(5), None)
