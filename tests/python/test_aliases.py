"""seeds/name_aliases.csv as people write it: it moves history, and what it cannot mean stops the build."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import S3
from product import Product, product

from loader.database.server import Server

FEED: dict[str, Any] = {
    "location": "s3://drops/a/",
    "client": {"name": "Acme"},
    "columns": {"date": "Date", "campaign_name": "Campaign", "impressions": "Imps"},
}
ROWS = "Date,Campaign,Imps\n2024-01-02,Spring,1\n2024-01-02,Caf\u00e9,2\n2024-01-03,Summer,4\n"
CAMPAIGNS = "select name, sum(impressions) as imps from media.campaigns left join media.daily_metrics on"
CAMPAIGNS += " daily_metrics.campaign_id = campaigns.id group by name order by name"


@pytest.fixture
def shop(server: Server, s3: S3, tmp_path: Path) -> Iterator[Product]:
    with product(server, s3, tmp_path) as opened:
        opened.feeds({"a": FEED})
        opened.add_client("Acme")
        opened.put("a/1.csv", ROWS.encode(), datetime(2024, 1, 4, tzinfo=UTC))
        opened.load()
        yield opened


def campaigns(shop: Product) -> dict[str, int]:
    return {row["name"]: row["imps"] for row in shop.query(CAMPAIGNS)}


def test_an_alias_moves_history_however_it_is_spelled_and_gives_it_back(shop: Product) -> None:
    shop.aliases(
        [(" ACME ", "campaign", " Cafe\u0301\u00a0", "Spring\t"), ("", "campaign", "Summer", "Other")]
    )
    shop.transform()
    assert campaigns(shop) == {"Spring": 3, "Other": 4}
    shop.aliases([])
    shop.transform()
    assert campaigns(shop) == {"Spring": 1, "Caf\u00e9": 2, "Summer": 4}


def test_an_alias_that_cannot_be_meant_stops_the_build(shop: Product) -> None:
    shop.transform()
    before = campaigns(shop)
    acme = shop.query("select id from media.clients where name = 'Acme'")[0]["id"]
    for aliases in (
        [("Acme", "campaign", "Summer", "One"), (acme, "campaign", "Summer", "Two")],
        [("", "campaign", "Summer", "x" * 256)],
        [("", "campaign", "Summer", "One"), ("", "campaign", "Summer ", "Two")],
        [("", "campaign", "Summer", " ")],
        [("", "advert", "Summer", "One")],
    ):
        shop.aliases(aliases)
        assert "alias" in shop.run("transform", expect={1}).stderr, aliases
        assert campaigns(shop) == before


def test_readers_never_see_the_aliases_half_loaded(shop: Product) -> None:
    """TRUNCATE would show an empty table to a statement of another build that had begun before."""
    file = "select pg_relation_filenode('media_models.name_aliases') as file"
    shop.aliases([("", "campaign", "Summer", "Other")])
    shop.transform()
    before = shop.query(file)
    shop.transform()
    assert shop.query(file) == before
    assert len(shop.query("select * from media_models.name_aliases")) == 1
