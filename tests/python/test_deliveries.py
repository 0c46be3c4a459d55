"""What a delivery is: parts, deliveries, spans, versions of a key, feeds that move."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agreement import check_untouched, versions
from conftest import S3
from moto.s3.models import s3_backends
from product import Product, fresh_product

from loader.database.server import Server
from loader.files.feeds import read_feeds
from loader.ingestion.load import by_key, plan
from loader.ingestion.s3 import list_versions
from loader.nightly.models import model_query

COLUMNS = {"date": "Day", "campaign_name": "Campaign", "impressions": "Imps"}
FEED: dict[str, Any] = {"location": "s3://drops/a/", "client": {"column": "Client"}, "columns": COLUMNS}
START = datetime(2026, 8, 20, tzinfo=UTC)
LIVE = f"""
select
    to_char(rows.date, 'DD') || ' ' || clients.name || ' ' || rows.campaign_name as day,
    sum(rows.impressions)::int as impressions
from ({model_query("int_live_run_days")}) as live
join media.staging_media_raw as rows
    on rows.ingestion_run_id = live.run_id and rows.client_id = live.client_id and rows.date = live.date
join media.clients on clients.id = rows.client_id
group by 1
"""
WORK_LIST = """
select to_char(days.date, 'DD') || ' ' || clients.name as day
from media_models.int_days_to_rebuild as days
join media.clients on clients.id = days.client_id
"""
LOG = "select * from media.ingestion_logs order by run_number"


class Partner:
    """Delivers files to the product, each an hour later than the one before."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.clock = START

    def feed(self, **settings: Any) -> None:
        """Declares the feed, with these settings in addition to FEED."""
        self.product.feeds({"a": {**FEED, **settings}})

    def put(self, key: str, *rows: str, at: datetime | None = None, bucket: str = "drops") -> None:
        """Puts a file of rows such as "01 Acme A 100": day of August 2026, client, campaign, impressions."""
        cells = [row.split() for row in rows]
        lines = [f"2026-08-{day},{client},{campaign},{imps}" for day, client, campaign, imps in cells]
        self.clock += timedelta(hours=1)
        self.product.s3.put(key, "\n".join(["Day,Client,Campaign,Imps", *lines]), bucket)
        (backend,) = s3_backends.values()  # the server runs in this process
        stored = backend["aws"].buckets[bucket].keys[key]
        stored.last_modified = (at or self.clock).replace(tzinfo=None)

    def deliver(self, key: str, *rows: str, expect: int = 0, **where: Any) -> list[str]:
        """Puts a file and loads; returns the warnings."""
        self.put(key, *rows, **where)
        return self.load(expect=expect)

    def load(self, expect: int = 0, **options: Any) -> list[str]:
        """Loads; returns the warnings."""
        printed = self.product.load(**options, expect=(expect,)).stdout.splitlines()
        return [line.removeprefix("warning: ") for line in printed if line.startswith("warning: ")]

    def live(self) -> Mapping[str, int]:
        """Returns the live impressions by day of August, client and campaign."""
        return {row["day"]: row["impressions"] for row in self.product.query(LIVE)}

    def retract(self, key: str, which: int = -1) -> None:
        """Retracts a run of a key, the latest by default."""
        runs = [run for run in self.product.query(LOG) if run["object_key"] == key]
        self.product.retract(runs[which]["id"])


@pytest.fixture
def partner(server: Server, s3: S3, tmp_path: Path) -> Any:
    with fresh_product(server, s3, tmp_path) as product:
        for client in ("Acme", "Beta"):
            product.add_client(client)
        yield Partner(product)


# Parts and deliveries ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("redelivery", ["append", "replace"])
def test_parts_add_up_and_a_part_that_is_sent_again_replaces_itself(
    partner: Partner, redelivery: str
) -> None:
    partner.feed(key_pattern=r"hour=(?P<part>\d+)", redelivery=redelivery)
    for hour in ("00", "01", "02"):  # equal content: three parts all the same
        partner.deliver(f"a/01/hour={hour}.csv", "01 Acme A 1")
    assert partner.live() == {"01 Acme A": 3}
    partner.deliver("a/again/hour=01.csv", "01 Acme A 7")
    assert partner.live() == {"01 Acme A": 9}


def test_files_of_an_append_feed_are_parts_but_of_equal_files_the_earliest_counts(partner: Partner) -> None:
    partner.feed(redelivery="append")
    partner.deliver("a/1.csv", "01 Acme A 1")
    partner.deliver("a/2.csv", "01 Acme A 2")
    partner.deliver("a/3.csv", "01 Acme A 1")
    assert partner.live() == {"01 Acme A": 3}
    partner.put("a/1.csv", "01 Acme A 5")  # a new version of the same part
    partner.load()
    assert partner.live() == {"01 Acme A": 8}


def test_a_delivery_with_other_parts_replaces_the_previous_delivery(partner: Partner) -> None:
    partner.feed(key_pattern=r"part-(?P<part>\d+)-(?P<delivery>\w+)")
    partner.deliver("a/part-0-a1.csv", "01 Acme A 1", "02 Acme A 1")
    partner.deliver("a/part-1-a1.csv", "01 Acme B 2", "02 Acme B 2")
    assert partner.live() == {"01 Acme A": 1, "01 Acme B": 2, "02 Acme A": 1, "02 Acme B": 2}
    partner.deliver("a/part-0-b2.csv", "01 Acme C 9")
    assert partner.live() == {"01 Acme C": 9, "02 Acme A": 1, "02 Acme B": 2}


def test_without_a_group_part_the_files_of_a_delivery_are_its_parts(partner: Partner) -> None:
    partner.feed(key_pattern=r"(?P<delivery>\w+)/[^/]*$")
    for key in ("a/mon/x.csv", "a/mon/y.csv", "a/tue/x.csv", "a/tue/y.csv"):
        partner.deliver(key, "01 Acme A 1")
    assert partner.live() == {"01 Acme A": 2}


def test_a_group_that_matched_nothing_is_a_part_of_its_own(partner: Partner) -> None:
    partner.feed(key_pattern=r"day(?P<part>\d*)\.csv")
    partner.deliver("a/day.csv", "01 Acme A 1")
    partner.deliver("a/day2.csv", "01 Acme A 2")
    partner.deliver("a/again/day.csv", "01 Acme A 5")
    assert partner.live() == {"01 Acme A": 7}


def test_the_current_key_pattern_applies_to_runs_loaded_before(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/x1.csv", "01 Acme A 1")
    partner.deliver("a/y1.csv", "01 Acme A 2")
    assert partner.live() == {"01 Acme A": 2}
    partner.feed(key_pattern=r"(?P<part>[xy])\d")
    partner.load()
    assert partner.live() == {"01 Acme A": 3}
    partner.feed(key_pattern=r"z(?P<part>\d)")  # no key matches it any more: one part
    partner.load()
    assert partner.live() == {"01 Acme A": 2}


# Spans ------------------------------------------------------------------------------------------------------


def test_a_day_and_a_client_that_are_gone_from_a_span_are_zero(partner: Partner) -> None:
    partner.feed(covers="span")
    partner.deliver("a/1.csv", "01 Acme A 1", "02 Acme A 2", "03 Acme A 3", "03 Beta B 3", "09 Acme A 9")
    partner.deliver("a/2.csv", "01 Acme A 5", "03 Acme A 7")
    assert partner.live() == {"01 Acme A": 5, "03 Acme A": 7, "09 Acme A": 9}
    partner.feed()
    partner.load()
    assert partner.live() == {
        **{"01 Acme A": 5, "02 Acme A": 2, "03 Acme A": 7},
        **{"03 Beta B": 3, "09 Acme A": 9},
    }


def test_the_date_in_the_key_belongs_to_the_span(partner: Partner) -> None:
    partner.feed(covers="span", key_pattern=r"(?P<date>\d{8})")
    partner.deliver("a/20260803.csv", "01 Acme A 1", "02 Acme A 2", "03 Acme A 3", "04 Acme A 4")
    partner.deliver("a/20260804.csv", "02 Acme A 5")
    assert partner.live() == {"01 Acme A": 1, "02 Acme A": 5}
    partner.deliver("a/20260801.csv")  # no rows
    assert partner.live() == {"02 Acme A": 5}


def test_a_span_does_not_depend_on_the_time_zone_of_the_session(partner: Partner) -> None:
    """In Santiago, the clock of 7 September 2025 had no midnight."""
    partner.feed(covers="span")
    for key, rows in {
        "a/1.csv": "2025-09-04,Acme,A,1\n2025-09-09,Acme,A,5\n",
        "a/2.csv": "2025-09-04,Acme,A,2\n2025-09-09,Beta,A,3\n",
    }.items():
        partner.product.s3.put(key, f"Day,Client,Campaign,Imps\n{rows}")
    partner.load()
    with partner.product.connection() as connection:
        connection.execute("set timezone = 'America/Santiago'")
        found = connection.execute(LIVE.encode()).fetchall()
    assert sorted(row["day"] for row in found) == ["04 Acme A", "09 Beta A"]


def test_a_date_in_a_key_can_be_far_away(partner: Partner) -> None:
    partner.feed(covers="span", key_pattern=r"(?P<date>\d{8})")
    partner.deliver("a/20260801.csv", "01 Acme A 1", "03 Acme A 3")
    for day in ("00010101", "99991231"):
        partner.deliver(f"a/{day}.csv", "02 Acme A 2")
    plan = partner.product.query(f"explain (analyze, timing off) {LIVE}")
    assert partner.live() == {"02 Acme A": 2}
    rows = [int(found) for row in plan for found in re.findall(r"actual rows=(\d+)", row["QUERY PLAN"])]
    assert max(rows) < 20


def test_a_file_without_rows_and_without_a_date_covers_nothing(partner: Partner) -> None:
    partner.feed(covers="span")
    partner.deliver("a/1.csv", "01 Acme A 1")
    partner.deliver("a/2.csv")
    assert partner.live() == {"01 Acme A": 1}


def test_a_span_covers_only_the_client_that_the_key_names(partner: Partner) -> None:
    partner.feed(
        covers="span",
        key_pattern=r"(?P<who>\w+)/(?P<date>\d{8})",
        client={"key_group": "who"},
    )
    for client in ("Acme", "Beta"):
        partner.deliver(f"a/{client}/20260803.csv", f"01 {client} A 1", f"02 {client} A 2")
    partner.deliver("a/acme/20260802.csv")
    assert partner.live() == {"01 Acme A": 1, "01 Beta A": 1, "02 Beta A": 2}


def test_a_client_added_later_is_found_in_the_keys_of_earlier_runs(partner: Partner) -> None:
    partner.feed(
        covers="span",
        key_pattern=r"(?P<who>\w+)/(?P<date>\d{8})",
        client={"key_group": "who"},
    )
    partner.deliver("a/gamma/20260801.csv", "01 Gamma A 1", expect=1)
    partner.deliver("a/gamma/20260801-corrected.csv")  # no rows: the day is zero
    partner.product.add_client("Gamma")
    partner.load(retry=True)
    assert partner.live() == {}
    partner.retract("a/gamma/20260801-corrected.csv")
    assert partner.live() == {"01 Gamma A": 1}


def test_a_span_needs_the_client_of_every_key(partner: Partner) -> None:
    partner.feed(covers="span", key_pattern=r"(?P<who>\w*)-", client={"key_group": "who"})
    partner.deliver("a/-1.csv", "01 Acme A 1", expect=1)
    (run,) = partner.product.query(LOG)
    assert "its key names no client, which covers: span needs" in run["message"]
    assert run["failure"] == "content"


# Versions of a key ------------------------------------------------------------------------------------------


def test_a_new_version_replaces_the_previous_one_or_adds_to_it(partner: Partner) -> None:
    partner.feed(same_key="adds")
    partner.deliver("a/latest.csv", "01 Acme A 1", "02 Acme A 2")
    partner.deliver("a/latest.csv", "02 Acme A 5", "03 Acme A 3")
    assert partner.live() == {"01 Acme A": 1, "02 Acme A": 5, "03 Acme A": 3}
    partner.feed()
    partner.load()
    assert partner.live() == {"02 Acme A": 5, "03 Acme A": 3}


@pytest.mark.parametrize("redelivery", ["append", "replace"])
def test_equal_content_of_a_key_is_one_version(partner: Partner, redelivery: str) -> None:
    partner.feed(same_key="adds", redelivery=redelivery)
    for rows in (["01 Acme A 1"], ["01 Acme A 2", "02 Acme A 2"], ["01 Acme A 1"]):
        partner.deliver("a/latest.csv", *rows)
    assert partner.live() == {"01 Acme A": 2, "02 Acme A": 2}
    assert [bool(run["same_content_as"]) for run in partner.product.query(LOG)] == [False, False, True]


def versioned_bucket(partner: Partner) -> None:
    """Creates the bucket `archive`, with versions, for the feed."""
    partner.product.s3.bucket("archive")
    partner.product.s3.client.put_bucket_versioning(
        Bucket="archive", VersioningConfiguration={"Status": "Enabled"}
    )
    partner.feed(location="s3://archive/a/", same_key="adds")


def test_versions_that_were_never_read_are_read_oldest_first(partner: Partner) -> None:
    versioned_bucket(partner)
    client = partner.product.s3.client
    partner.deliver("a/latest.csv", "01 Acme A 1", bucket="archive")
    for imps in (2, 3, 4):
        partner.put("a/latest.csv", f"01 Acme A {imps}", f"0{imps} Acme A {imps}", bucket="archive")
    partner.put("a/other.csv", "09 Acme A 9", bucket="archive")
    client.delete_object(Bucket="archive", Key="a/other.csv")
    client.delete_object(Bucket="archive", Key="a/latest.csv")
    partner.load()
    assert partner.live() == {
        **{"01 Acme A": 4, "02 Acme A": 2, "03 Acme A": 3},
        **{"04 Acme A": 4, "09 Acme A": 9},
    }
    partner.load()
    modified = [run["last_modified"] for run in partner.product.query(LOG) if "latest" in run["object_key"]]
    assert len(modified) == 4 and modified == sorted(modified)


def test_the_order_in_which_versions_are_read_makes_no_difference(partner: Partner) -> None:
    versioned_bucket(partner)
    for imps in (3, 4, 3):
        partner.put("a/other.csv", f"02 Acme A {imps}", bucket="archive")
    listed = partner.product.s3.client.list_object_versions(Bucket="archive", Prefix="a/other")["Versions"]
    partner.load(key=f"a/other.csv?versionId={listed[0]['VersionId']}")  # the last version
    assert partner.live() == {"02 Acme A": 3}
    partner.load()
    assert partner.live() == {"02 Acme A": 4}


def test_versions_are_listed_oldest_first_and_load_one_after_the_other(partner: Partner) -> None:
    versioned_bucket(partner)
    client, content = partner.product.s3.client, b"Day,Client,Campaign,Imps\n"
    ids = [
        client.put_object(Bucket="archive", Key=key, Body=content)["VersionId"]
        for key in ("a/1.csv", "a/1.csv", "a/2.csv", "a/2.csv", "a/2.csv")
    ]
    assert [obj.version_id for obj in list_versions(client, "archive", "a/")] == ids
    with partner.product.environment():
        feeds = read_feeds(partner.product.feeds_file)
        tasks, _ = plan(partner.product.database, client, feeds)
    assert [len(group) for group in by_key(tasks)] == [2, 3]


def test_without_the_setting_only_the_current_version_is_read(partner: Partner) -> None:
    versioned_bucket(partner)
    partner.feed(location="s3://archive/a/")
    for imps in (1, 2):
        partner.put("a/latest.csv", f"0{imps} Acme A {imps}", bucket="archive")
    partner.load()
    assert partner.live() == {"02 Acme A": 2}


def test_a_failed_version_is_tried_again_and_the_others_are_not(partner: Partner) -> None:
    versioned_bucket(partner)
    partner.put("a/latest.csv", "01 Gamma A 1", bucket="archive")
    partner.put("a/latest.csv", "02 Acme A 2", bucket="archive")
    partner.load(expect=1)
    partner.load()
    partner.product.add_client("Gamma")
    partner.load(retry=True)
    assert partner.live() == {"01 Gamma A": 1, "02 Acme A": 2}
    assert len(partner.product.query(LOG)) == 3


def test_a_retracted_version_comes_back_only_through_its_key(partner: Partner) -> None:
    versioned_bucket(partner)
    for imps in (1, 2):
        partner.deliver("a/latest.csv", f"0{imps} Acme A {imps}", bucket="archive")
    partner.retract("a/latest.csv", which=0)
    partner.load()
    partner.load(key="a/latest.csv")  # the current version
    assert partner.live() == {"02 Acme A": 2}
    first = partner.product.query(LOG)[0]
    partner.load(key=f"s3://archive/a/latest.csv?versionId={first['version_id']}")
    assert partner.live() == {"01 Acme A": 1, "02 Acme A": 2}


# Retractions ------------------------------------------------------------------------------------------------


def test_a_retraction_retracts_every_run_of_the_version(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1")
    partner.deliver("a/1.csv", "01 Acme A 2")
    partner.load(key="a/1.csv")
    assert partner.live() == {"01 Acme A": 2}
    partner.retract("a/1.csv", which=1)
    assert partner.live() == {"01 Acme A": 1}
    assert "already retracted" in partner.product.run("retract", partner.product.query(LOG)[2]["id"]).stdout


def test_a_version_that_was_loaded_again_is_retracted_by_its_first_run(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1")
    partner.retract("a/1.csv")
    partner.load(key="a/1.csv")
    assert partner.live() == {"01 Acme A": 1}
    partner.retract("a/1.csv", which=0)
    assert partner.live() == {}


def test_a_retry_after_a_copy_in_place_does_not_bring_a_superseded_day_back(partner: Partner) -> None:
    partner.feed(max_rejected=1)
    partner.deliver("a/1.csv", "01 Acme A 1", "01 Gamma A 1")
    partner.deliver("a/2.csv", "01 Acme A 90")
    partner.deliver("a/1.csv", "01 Acme A 1", "01 Gamma A 1")
    partner.product.add_client("Gamma")
    partner.load(retry=True)
    assert partner.live() == {"01 Acme A": 90, "01 Gamma A": 1}
    partner.load(key="a/1.csv")  # but whoever asks for the file gets it
    assert partner.live() == {"01 Acme A": 1, "01 Gamma A": 1}


def test_the_client_in_the_key_counts_before_feeds_yml_is_read_again(partner: Partner) -> None:
    """The state of a database that was just migrated."""
    settings: dict[str, Any] = {"redelivery": "append", "key_pattern": "(?P<who>[A-Z][a-z]+)/"}
    columns = {"date": "Day", "campaign_name": "Campaign", "impressions": "Imps"}
    partner.feed(**settings, client={"key_group": "who"}, columns=columns)
    for client in ("Acme", "Beta"):
        partner.deliver(f"a/{client}/1.csv", "01 Acme A 1")
    expected = {"01 Acme A": 1, "01 Beta A": 1}
    assert partner.live() == expected
    partner.product.query("truncate media_ops.run_keys")
    assert partner.live() == expected


def test_a_retry_does_not_bring_a_retracted_version_back(partner: Partner) -> None:
    partner.feed(max_rejected=1)
    partner.deliver("a/1.csv", "01 Acme A 1")
    partner.retract("a/1.csv")
    partner.deliver("a/1.csv", "01 Acme A 2", "01 Gamma A 2")
    partner.put("a/1.csv", "01 Acme A 1")
    partner.load(retry=True)
    assert partner.live() == {"01 Acme A": 2}
    assert "which was retracted" in partner.product.query(LOG)[-1]["message"]
    partner.load(key="a/1.csv")
    assert partner.live() == {"01 Acme A": 1}


# A feed that moves ------------------------------------------------------------------------------------------


def move(partner: Partner, **settings: Any) -> None:
    """Declares that the feed moved to another bucket and prefix."""
    partner.product.s3.bucket("new")
    partner.feed(location="s3://new/b/", moved_from="s3://drops/a", **settings)


@pytest.mark.parametrize("redelivery", ["append", "replace"])
def test_a_feed_that_moved_keeps_its_runs(partner: Partner, redelivery: str) -> None:
    partner.feed(redelivery=redelivery)
    partner.deliver("a/1.csv", "01 Acme A 1", "02 Acme A 1")
    partner.deliver("a/2.csv", "02 Acme A 5")
    before = partner.live()
    move(partner, redelivery=redelivery)
    partner.put("b/2.csv", "02 Acme A 5", bucket="new")
    partner.deliver("b/1.csv", "01 Acme A 1", "02 Acme A 1", bucket="new")  # copied in another order
    assert partner.live() == before
    partner.deliver("b/2.csv", "02 Acme A 7", bucket="new")
    assert partner.live()["02 Acme A"] == {"append": 8, "replace": 7}[redelivery]


def test_a_new_version_in_the_new_place_replaces_the_old_one(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1", "02 Acme A 1")
    move(partner)
    partner.deliver("b/1.csv", "01 Acme A 5", bucket="new")
    assert partner.live() == {"01 Acme A": 5}


def test_without_moved_from_the_feeds_add_up_again(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1")
    move(partner)
    partner.deliver("b/2.csv", "01 Acme A 5", bucket="new")
    assert partner.live() == {"01 Acme A": 5}
    partner.feed(location="s3://new/b/")
    partner.load()
    assert partner.live() == {"01 Acme A": 6}


def test_a_move_that_is_undone_gives_the_runs_back(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1")
    partner.deliver("a/2.csv", "01 Acme A 2")
    move(partner, redelivery="append")
    partner.load()
    assert partner.live() == {"01 Acme A": 3}
    partner.feed()
    partner.load()
    assert partner.live() == {"01 Acme A": 2}


def test_the_keys_of_a_feed_that_moved_are_read_as_if_they_were_in_the_new_place(partner: Partner) -> None:
    partner.feed(key_pattern=r"^a/hour=(?P<part>\d+)")
    for hour in ("00", "01", "02"):
        partner.deliver(f"a/hour={hour}.csv", "01 Acme A 1")
    move(partner, key_pattern=r"^b/hour=(?P<part>\d+)")
    partner.deliver("b/hour=01.csv", "01 Acme A 5", bucket="new")
    assert partner.live() == {"01 Acme A": 7}


def test_a_feed_can_move_again_and_back(partner: Partner) -> None:
    partner.feed()
    partner.deliver("a/1.csv", "01 Acme A 1")
    move(partner)
    partner.deliver("b/2.csv", "02 Acme A 2", bucket="new")
    partner.feed(location="s3://new/c/", moved_from="s3://new/b/")
    partner.deliver("c/1.csv", "01 Acme A 5", bucket="new")
    assert partner.live() == {"01 Acme A": 5, "02 Acme A": 2}
    partner.feed(moved_from="s3://new/c/")
    partner.deliver("a/2.csv", "02 Acme A 7")
    assert partner.live() == {"01 Acme A": 5, "02 Acme A": 7}


def test_a_location_that_becomes_narrower_or_wider_keeps_its_files(partner: Partner) -> None:
    for location, moved_from in (("s3://drops/a/", "s3://drops/"), ("s3://drops/", "s3://drops/a/")):
        partner.feed(location=moved_from)
        partner.deliver("a/1.csv", "01 Acme A 1", "02 Acme A 1")
        partner.deliver("a/a/1.csv", "09 Acme A 1")
        partner.feed(location=location, moved_from=moved_from)
        partner.deliver("a/1.csv", "01 Acme A 5")
        assert partner.live() == {"01 Acme A": 5, "09 Acme A": 1}


def test_a_file_outside_a_narrower_location_is_another_file(partner: Partner) -> None:
    partner.feed(location="s3://drops/")
    partner.deliver("1.csv", "01 Acme A 1")
    partner.feed(moved_from="s3://drops/")
    partner.deliver("a/1.csv", "02 Acme A 2")
    assert partner.live() == {"01 Acme A": 1, "02 Acme A": 2}


def test_a_file_with_rejected_rows_waits_in_its_new_place(partner: Partner) -> None:
    partner.feed(max_rejected=1)
    partner.deliver("a/1.csv", "01 Acme A 1", "01 Gamma A 1")
    move(partner, max_rejected=1)
    partner.deliver("b/1.csv", "01 Acme A 1", "01 Gamma A 1", bucket="new")
    partner.product.add_client("Gamma")
    partner.load(retry=True)
    assert partner.live() == {"01 Acme A": 1, "01 Gamma A": 1}


# The date in the key ----------------------------------------------------------------------------------------


def test_swapped_day_and_month_fail_the_file(partner: Partner) -> None:
    partner.feed(
        key_pattern=r"(?P<date>[\d-]*)\.csv",
        key_date="in_file",
        format={"date": "%Y-%d-%m"},
        client={"name": "Acme"},
    )
    partner.product.s3.put("a/2026-08-02.csv", "Day,Campaign,Imps\n2026-08-02,A,1", "drops")
    partner.product.s3.put("a/2026-08-13.csv", "Day,Campaign,Imps\n2026-13-08,A,1", "drops")
    partner.product.s3.put("a/2026-99-99.csv", "Day,Campaign,Imps\n2026-13-08,A,1", "drops")
    partner.product.s3.put("a/none.csv", "Day,Campaign,Imps\n2026-13-08,A,1", "drops")
    partner.product.s3.put("a/2026-08-14.csv", "Day,Campaign,Imps\n", "drops")  # no rows
    done = partner.product.run("load", "--json", expect=(1,))
    messages = {one["uri"][-14:]: one["message"] for one in json.loads(done.stdout)}
    assert messages == {
        "2026-08-02.csv": "the key says 2026-08-02, but the rows are of 2026-02-08: correct format.date in"
        " feeds.yml, then run `media load --retry`, or have the file delivered again",
        "2026-08-13.csv": "1 row",
        "2026-99-99.csv": 'the key says "2026-99-99", which is not a date, but the rows are of 2026-08-13:'
        " correct key_pattern or format.date in feeds.yml, then run `media load --retry`, or have the file"
        " delivered again",
        "ops/a/none.csv": "the key has no date, but the rows are of 2026-08-13: correct key_pattern in"
        " feeds.yml, then run `media load --retry`, or have the file delivered again",
        "2026-08-14.csv": "0 rows",
    }
    assert partner.live() == {"13 Acme A": 1}


def test_rows_of_an_unknown_client_can_have_the_date_of_the_key(partner: Partner) -> None:
    partner.feed(key_pattern=r"(?P<date>[\d-]+)\.csv", key_date="in_file")
    partner.deliver("a/2026-08-02.csv", "01 Acme A 1", "02 Gamma A 1")
    assert partner.live() == {"01 Acme A": 1}


# Builds -----------------------------------------------------------------------------------------------------


def test_a_setting_recomputes_exactly_the_days_that_it_concerns(partner: Partner) -> None:
    product = partner.product
    pattern = r"(?P<date>\d{8})(?P<hour>\w)"
    partner.feed(key_pattern=pattern)
    partner.put("a/20260801x.csv", "01 Acme A 1", "02 Acme A 1", "03 Acme A 1", "03 Beta A 1")
    partner.load()
    partner.put("a/20260801y.csv", "01 Acme A 2", "03 Acme A 2", "04 Acme A 2")
    partner.load()
    product.transform()
    changes: list[tuple[dict[str, Any], set[str]]] = [
        ({"covers": "span"}, {"02 Acme", "03 Beta"}),
        ({"redelivery": "append"}, {"01 Acme", "02 Acme", "03 Acme", "03 Beta"}),
        ({"redelivery": "append", "same_key": "adds", "key_date": "in_file", "max_rejected": 0.5}, set()),
        ({"key_pattern": pattern.replace("hour", "part")}, set()),
        ({"key_pattern": pattern.replace("hour", "delivery")}, {"01 Acme", "03 Acme"}),
    ]
    for settings, days in changes:
        partner.feed(**{"key_pattern": pattern, **settings})
        before = versions(product.tables())
        product.transform()
        check_untouched(before, versions(product.tables()))
        assert {row["day"] for row in product.query(WORK_LIST)} == days, settings
