"""seeds/name_aliases.csv: an alias moves history, and a bad or ambiguous one fails the build."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import S3
from product import Product, fresh_product

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
def product(server: Server, s3: S3, tmp_path: Path) -> Iterator[Product]:
    with fresh_product(server, s3, tmp_path) as opened:
        opened.feeds({"a": FEED})
        opened.add_client("Acme")
        opened.put("a/1.csv", ROWS.encode(), datetime(2024, 1, 4, tzinfo=UTC))
        opened.load()
        yield opened


def campaigns(product: Product) -> dict[str, int]:
    return {row["name"]: row["imps"] for row in product.query(CAMPAIGNS)}


def test_an_alias_moves_history_and_removing_it_moves_history_back(product: Product) -> None:
    product.aliases(
        [(" ACME ", "campaign", " Cafe\u0301\u00a0", "Spring\t"), ("", "campaign", "Summer", "Other")]
    )
    product.transform()
    assert campaigns(product) == {"Spring": 3, "Other": 4}
    product.aliases([])
    product.transform()
    assert campaigns(product) == {"Spring": 1, "Caf\u00e9": 2, "Summer": 4}


def test_a_bad_or_ambiguous_alias_fails_the_build(product: Product) -> None:
    product.transform()
    before = campaigns(product)
    acme = product.query("select id from media.clients where name = 'Acme'")[0]["id"]
    for aliases in (
        [("Acme", "campaign", "Summer", "One"), (acme, "campaign", "Summer", "Two")],
        [("", "campaign", "Summer", "x" * 256)],
        [("", "campaign", "Summer", "One"), ("", "campaign", "Summer ", "Two")],
        [("", "campaign", "Summer", " ")],
        [("", "advert", "Summer", "One")],
    ):
        product.aliases(aliases)
        assert "alias" in product.run("transform", expect={1}).stderr, aliases
        assert campaigns(product) == before


def test_a_build_does_not_replace_the_table_of_aliases(product: Product) -> None:
    """TRUNCATE would show an empty table to a statement of another build that started earlier."""
    file = "select pg_relation_filenode('media_models.name_aliases') as file"
    product.aliases([("", "campaign", "Summer", "Other")])
    product.transform()
    before = product.query(file)
    product.transform()
    assert product.query(file) == before
    assert len(product.query("select * from media_models.name_aliases")) == 1
