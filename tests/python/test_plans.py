"""The work of a build must not grow with the history: it finds the rows that it reads by an index."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import S3
from product import fresh_product
from test_load import FEED, GOOD, KEY, NOON

from loader.database.server import Server

READS = {
    "media.staging_media_raw": """
        select staged.impressions
        from (
            select client_id, date, unnest(live_run_ids) as run_id from media_models.int_days_to_rebuild
        ) as days
        join media_models.stg_media_rows as staged
            on days.run_id = staged.run_id and days.client_id = staged.client_id and days.date = staged.date
    """,
    "media.daily_metrics": """
        select daily_metrics.impressions
        from media_models.int_days_to_rebuild as days
        join media.daily_metrics
            on days.client_id = daily_metrics.client_id and days.date = daily_metrics.date
    """,
}


@pytest.mark.parametrize("table", READS)
def test_rows_of_the_days_to_rebuild_are_found_by_an_index(
    server: Server, s3: S3, tmp_path: Path, table: str
) -> None:
    with fresh_product(server, s3, tmp_path) as product:
        product.feeds({"ttd": FEED})
        product.add_client("Acme")
        product.put(KEY, GOOD, NOON)
        product.load()
        product.transform()
        with product.connection() as connection:
            # with two rows PostgreSQL prefers other plans: check that an index scan is possible
            for method in ("seqscan", "hashjoin", "mergejoin", "bitmapscan"):
                connection.execute(f"set enable_{method} = off")
            plan = [
                f"{row['QUERY PLAN']}" for row in connection.execute(f"explain {READS[table]}").fetchall()
            ]
    name = table.removeprefix("media.")
    assert not [line for line in plan if f"Seq Scan on {name}" in line], plan
    assert [line for line in plan if "Index" in line and f" on {name}" in line], plan
