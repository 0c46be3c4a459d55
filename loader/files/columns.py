"""The columns of `media.staging_media_raw` that come from a file: the loader's only list of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Kind = Literal["date", "count", "share", "amount", "name", "client"]
"""How a cell of the column is read: see loader/files/rows.py."""

STAGED: Mapping[str, Kind] = {
    "client_id": "client",
    "date": "date",
    "campaign_name": "name",
    "strategy_name": "name",
    "placement_name": "name",
    "creative_name": "name",
    "impressions": "count",
    "clicks": "count",
    "ctr": "share",
    "conversions": "count",
    "conversion_revenue": "amount",
}
"""The kind of each column, in the order of COPY."""

MAPPED = tuple(column for column, kind in STAGED.items() if kind != "client")
"""The columns that a feed can map under `columns`; the client has its own setting."""

REQUIRED = ("date", "impressions")

# A row is rejected for the first rule that it breaks: date, then numbers, names, client.
_RANK = {"date": 0, "count": 1, "share": 1, "amount": 1, "name": 2, "client": 3}
CHECKED = tuple(sorted(STAGED, key=lambda column: _RANK[STAGED[column]]))
"""The columns in the order in which a row's cells are checked."""
