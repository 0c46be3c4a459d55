"""The demo's sample data: three clients, two partners with different formats; the same figures every time."""

from __future__ import annotations

import gzip
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

FIRST_DAY = date(2025, 8, 28)
DAYS = [FIRST_DAY + timedelta(days=count) for count in range(60)]
LAST_DAY = DAYS[-1]
BUCKET = "demo-drops"
CPMS = {"Northwind Coffee": "8.50", "Aurora Travel": "12.00", "Café Zürich": "6.75"}
TRADE_DESK_CLIENTS = ("Northwind Coffee", "Aurora Travel")
CAMPAIGNS = {
    "Northwind Coffee": ("Autumn Roast", "Store Finder", "Gift Cards"),
    "Aurora Travel": ("Winter Sun", "City Breaks", "Last Minute"),
    "Café Zürich": ("Zmorge", "Feierabend", "Gutscheine"),
}
STRATEGIES = ("Prospecting", "Retargeting")
SIZES = ("300x250", "728x90", "160x600", "320x50", "970x250")

FEEDS = f"""\
# Written by `media demo`: two partners, whose files are in an S3 that exists only while the demo runs.
feeds:
  trade_desk:
    location: s3://{BUCKET}/ttd/
    key_pattern: '(?P<date>\\d{{4}}-\\d{{2}}-\\d{{2}})[^/]*\\.csv(\\.gz)?$'
    format: {{currency: "$"}}
    client: {{column: Advertiser}}
    columns:
      date: Date
      campaign_name: Campaign
      strategy_name: Strategy
      placement_name: Placement
      creative_name: Creative
      impressions: Imps
      clicks: Clicks
      conversions: Conversions
      conversion_revenue: Revenue
  social:
    location: s3://{BUCKET}/social/
    key_pattern: 'social/(?P<client>[^/]+)/(?P<date>\\d{{8}})[^/]*\\.csv$'
    format: {{delimiter: ";", encoding: latin-1, date: "%d.%m.%Y", decimal: ","}}
    client: {{key_group: client}}
    columns:
      date: Datum
      campaign_name: Kampagne
      strategy_name: Strategie
      placement_name: Platzierung
      creative_name: Werbemittel
      impressions: Impressionen
      clicks: Klicks
      conversions: Conversions
      conversion_revenue: Umsatz
"""


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one creative on one day, as a partner reports them."""

    client: str
    date: date
    campaign: str
    strategy: str
    placement: str
    creative: str
    impressions: int
    clicks: int
    conversions: int
    revenue: Decimal


def lines(client: str, day: date) -> list[Line]:
    """Returns a client's thirty lines of a day; every call returns the same."""
    rng = random.Random(f"{client} {day}")
    weekend = 0.7 if day.weekday() > 4 else 1.0
    found = []
    for number, campaign in enumerate(CAMPAIGNS[client]):
        for strategy in STRATEGIES:
            for size in SIZES:
                impressions = int(rng.randint(4_000, 20_000) * weekend / (number + 1))
                clicks = impressions * rng.randint(4, 14) // 1_000
                conversions = clicks * rng.randint(2, 9) // 100
                revenue = Decimal(conversions * rng.randint(1_800, 6_500)) / 100
                creative = f"{campaign} {strategy.lower()} {size}"
                placement = f"{strategy} {size}"
                found.append(
                    Line(
                        *(client, day, campaign, strategy, placement, creative),
                        *(impressions, clicks, conversions, revenue),
                    )
                )
    return found


def trade_desk_lines(day: date) -> list[Line]:
    """Returns the first partner's lines of a day."""
    return [line for client in TRADE_DESK_CLIENTS for line in lines(client, day)]


def scaled(original: Sequence[Line], campaign: str, percent: int) -> list[Line]:
    """Returns the lines with one campaign's impressions scaled to `percent` of the original."""
    return [
        replace(line, impressions=line.impressions * percent // 100) if line.campaign == campaign else line
        for line in original
    ]


def trade_desk_file(content: Sequence[Line], extra: Sequence[str] = ()) -> bytes:
    """Returns a file of the first partner (commas, dollars, gzip); `extra` are raw lines to append."""
    header = "Date,Advertiser,Campaign,Strategy,Placement,Creative,Imps,Clicks,Conversions,Revenue"
    rows = (
        f"{line.date},{line.client},{line.campaign},{line.strategy},{line.placement},{line.creative},"
        f'"{line.impressions:,}",{line.clicks},{line.conversions},${line.revenue}'
        for line in content
    )
    return gzip.compress("\n".join([header, *rows, *extra, ""]).encode(), mtime=0)


def social_file(content: Sequence[Line]) -> bytes:
    """Returns a file of the second partner: semicolons, decimal commas, German dates and titles, Latin-1."""
    header = "Datum;Kampagne;Strategie;Platzierung;Werbemittel;Impressionen;Klicks;Conversions;Umsatz"
    rows = (
        f"{line.date:%d.%m.%Y};{line.campaign};{line.strategy};{line.placement};{line.creative};"
        f"{line.impressions};{line.clicks};{line.conversions};{str(line.revenue).replace('.', ',')}"
        for line in content
    )
    return "\r\n".join([header, *rows, ""]).encode("latin-1")


def trade_desk_key(day: date) -> str:
    """Returns the key of the first partner's file for a day."""
    return f"ttd/{day}.csv.gz"


def social_key(day: date, suffix: str = "") -> str:
    """Returns the key of the second partner's file for a day."""
    return f"social/Café Zürich/{day:%Y%m%d}{suffix}.csv"
