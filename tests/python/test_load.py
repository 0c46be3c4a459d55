"""From S3 to staging_media_raw, by the command, on a real PostgreSQL and moto's S3."""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from conftest import S3
from product import Product, product

from loader.agency.clients import find_client
from loader.agency.users import add_user, disable_user, verify_password
from loader.database.connection import connect
from loader.database.server import Server
from loader.errors import MediaError
from loader.files.feeds import read_feeds
from loader.ingestion.ingest import Result, ingest
from loader.ingestion.ledger import object_lock
from loader.ingestion.load import plan
from loader.ingestion.s3 import S3Error, connect_s3, list_objects, open_object
from loader.ingestion.staging import RowIds

FEED: dict[str, Any] = {
    "location": "s3://drops/ttd/",
    "key_pattern": r"(?P<date>\d{4}-\d{2}-\d{2})\.csv(\.gz)?$",
    "client": {"column": "Advertiser"},
    "columns": {"date": "Date", "campaign_name": "Campaign", "impressions": "Imps"},
}
KEY = "ttd/2025-01-02.csv"
NOON = datetime(2025, 1, 3, 12, tzinfo=UTC)
LATER = datetime(2025, 1, 4, 12, tzinfo=UTC)
LOG = "select * from media.ingestion_logs order by run_number"
STAGED = "select * from media.staging_media_raw order by date, campaign_name"


def lines(*rows: str) -> bytes:
    return "\n".join(["Date,Advertiser,Campaign,Imps", *rows, ""]).encode()


GOOD = lines("2025-01-02,Acme,Spring,100", "2025-01-01,ACME,Autumn,5")


@pytest.fixture
def shop(server: Server, s3: S3, tmp_path: Path) -> Any:
    with product(server, s3, tmp_path) as opened:
        opened.feeds({"ttd": FEED})
        opened.add_client("Acme")
        yield opened


def test_a_new_object_is_staged_and_logged_and_known_afterwards(shop: Product) -> None:
    shop.put(KEY, gzip.compress(GOOD), NOON)
    assert json.loads(shop.run("load", "--json").stdout)[0]["loaded"] == 2
    shop.load()
    (run,) = shop.query(LOG)
    assert (run["status"], run["records_loaded"], run["failure"]) == ("success", 2, None)
    assert f"{run['run_date']}" == "2025-01-02"
    assert run["finished_at"] is not None
    rows = shop.query(STAGED)
    assert [(row["campaign_name"], row["impressions"]) for row in rows] == [("Autumn", 5), ("Spring", 100)]
    assert len(shop.query("select * from media_ops.run_days")) == 2


def test_rows_stand_in_the_order_of_their_ids(shop: Product) -> None:
    count = 5_000  # more than one block
    shop.put(KEY, lines(*(f"2025-01-02,Acme,{number},{number}" for number in range(count))), NOON)
    shop.load()
    rows = shop.query("select impressions from media.staging_media_raw order by id")
    assert [row["impressions"] for row in rows] == list(range(count))


def test_ids_given_in_one_moment_are_unique_and_of_version_7() -> None:
    ids = RowIds()
    given = [UUID(text) for _ in range(100) for text in ids.next(10)]
    assert len(set(given)) == len(given) == 1_000
    assert {(one.version, one.variant) for one in given} == {(7, RFC_4122)}


def test_a_dry_run_loads_nothing(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    assert KEY in shop.run("load", "--dry-run").stdout
    assert shop.query(LOG) == []
    assert shop.query("select * from media_ops.feeds") == []


def test_names_are_data(shop: Product) -> None:
    odd = "a\\b\\N\tc'; drop table media.clients; --"
    shop.put(KEY, lines(f'2025-01-02,Acme,"{odd}",1', '2025-01-02,Acme,"two\nlines",1'), NOON)
    shop.load()
    names = {row["campaign_name"] for row in shop.query(STAGED)}
    assert odd in names


def test_the_same_content_again_is_no_run_and_renews_the_date(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    shop.load()
    shop.put(KEY, GOOD, LATER)
    shop.load()
    first, second = shop.query(LOG)
    assert second["same_content_as"] == first["id"] and second["records_loaded"] == 0
    assert first["last_modified"] == LATER.replace(tzinfo=None)
    assert len(shop.query(STAGED)) == 2


def test_the_same_content_again_has_the_date_of_its_run(shop: Product) -> None:
    shop.feeds({"ttd": {**FEED, "key_pattern": "csv$"}})
    for moment in (NOON, LATER):
        shop.put(KEY, GOOD, moment)
        shop.load()
    assert [f"{run['run_date']}" for run in shop.query(LOG)] == ["2025-01-02"] * 2


def test_by_key_the_whole_object_is_a_new_run(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    shop.load()
    shop.load(key=KEY)
    assert [run["same_content_as"] for run in shop.query(LOG)] == [None, None]
    assert shop.run("load", "--key", "ttd/none.csv", expect={1}).stderr.count("\n") == 1


def test_an_unknown_client_waits_for_retry_without_failing(shop: Product) -> None:
    shop.put(KEY, lines("2025-01-02,Acme,Spring,100", "2025-01-02,Zeta,Spring,7"), NOON)
    shop.load()
    assert [row["client_name"] for row in shop.query("select * from media_ops.rejected_rows")] == ["Zeta"]
    shop.add_client("Zeta")
    shop.load()
    assert len(shop.query(LOG)) == 1
    shop.load(retry=True)
    assert shop.query(LOG)[1]["records_loaded"] == 2
    shop.load(retry=True)
    assert len(shop.query(LOG)) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lines("2025-01-02,Zeta,Spring,1"), "unknown client 'Zeta'"),
        (lines("2025-01-02,Acme,Spring,x", "2025-01-02,Acme,Spring,1"), "max_rejected"),
        (b"", "empty"),
        (gzip.compress(GOOD, mtime=0)[:-12], ""),
        (b"Day,Who\n", "Date"),
    ],
)
def test_what_fails_for_its_content_fails_once_and_stages_nothing(
    shop: Product, content: bytes, said: str
) -> None:
    shop.put(KEY, content, NOON)
    done = shop.load(expect={1})
    assert said in done.stderr and done.stderr.count("\n") == 1
    shop.load()
    (run,) = shop.query(LOG)
    assert (run["status"], run["failure"], run["records_loaded"]) == ("failed", "content", 0)
    assert run["records_failed"] == len(shop.query("select * from media_ops.rejected_rows"))
    assert shop.query(STAGED) == []


def test_a_header_alone_is_a_success_of_no_rows(shop: Product) -> None:
    shop.put(KEY, lines(), NOON)
    shop.load()
    assert shop.query(LOG)[0]["status"] == "success"


def test_a_missing_bucket_is_one_sentence_and_stops_no_other_feed(shop: Product) -> None:
    shop.feeds({"gone": {**FEED, "location": "s3://nowhere/"}, "ttd": FEED})
    shop.put(KEY, GOOD, NOON)
    done = shop.load(expect={1})
    assert "bucket that does not exist" in done.stderr
    assert len(shop.query(STAGED)) == 2


def test_a_replaced_object_is_never_read(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    client = connect_s3()
    (listed,) = list_objects(client, "drops", "ttd/")
    shop.put(KEY, lines(), LATER)
    with pytest.raises(S3Error, match="replaced while being read"):
        open_object(client, listed)
    client.close()


def _planned(shop: Product, work: Callable[[Any, Any, Any], None]) -> None:
    client = connect_s3()
    tasks, _ = plan(shop.database, client, read_feeds(shop.feeds_file))
    work(shop.database, client, tasks[0])
    client.close()


def test_an_object_replaced_after_listing_fails_for_now_and_is_tried_again(shop: Product) -> None:
    def work(db: Any, client: Any, task: Any) -> None:
        shop.put(KEY, lines("2025-01-02,Acme,New,9"), LATER)
        assert ingest(db, client, task).failure == "outside"

    shop.put(KEY, GOOD, NOON)
    _planned(shop, work)
    shop.load()
    assert [row["campaign_name"] for row in shop.query(STAGED)] == ["New"]


def test_an_object_deleted_after_listing_is_a_failed_run_of_one_sentence(shop: Product) -> None:
    def work(db: Any, client: Any, task: Any) -> None:
        shop.s3.client.delete_object(Bucket="drops", Key=KEY)
        result = ingest(db, client, task)
        assert result.message.endswith("no longer exists: it was deleted after it was listed")

    shop.put(KEY, GOOD, NOON)
    _planned(shop, work)
    (run,) = shop.query(LOG)
    assert (run["status"], run["failure"], run["records_loaded"]) == ("failed", "outside", 0)


def test_two_loaders_load_an_object_once(shop: Product) -> None:
    results: list[Result] = []

    def work(db: Any, client: Any, task: Any) -> None:
        pair = [threading.Thread(target=lambda: results.append(ingest(db, client, task))) for _ in "ab"]
        with connect(db, autocommit=True) as connection, object_lock(connection, task.obj):
            for thread in pair:
                thread.start()
        for thread in pair:
            thread.join()

    shop.put(KEY, GOOD, NOON)
    _planned(shop, work)
    assert sorted(result.status for result in results) == ["loaded", "skipped"]
    assert len(shop.query(STAGED)) == 2


def test_a_connection_to_postgresql_that_breaks_leaves_a_failed_run(
    shop: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: Any, *_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    def work(db: Any, client: Any, task: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("loader.ingestion.ingest.write_run_days", broken)
            assert ingest(db, client, task).failure == "outside"

    shop.put(KEY, GOOD, NOON)
    _planned(shop, work)
    (run,) = shop.query(LOG)
    assert run["status"] == "failed" and run["message"].startswith("PostgreSQL: ")
    shop.load()
    assert len(shop.query(STAGED)) == 2


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("alter table media.staging_media_raw add check (impressions < 100)", "violates check constraint"),
        ("alter table media.staging_media_raw add views int not null", "violates not-null constraint"),
        ("alter table media_ops.run_days add check (row_count > 1)", "violates check constraint"),
    ],
)
def test_what_the_database_does_not_take_waits_for_a_correction(shop: Product, rule: str, told: str) -> None:
    """It would fail in the same way every night."""
    shop.query(rule)
    shop.put(KEY, GOOD, NOON)
    said = shop.load(expect={1}).stderr
    assert (
        said.count("\n") == 1 and told in said and "media load --retry" in said and "Failing row" not in said
    )
    (run,) = shop.query(LOG)
    assert (run["status"], run["failure"], run["message"] in said) == ("failed", "content", True)
    assert "0 objects" in shop.load().stdout  # it is not tried again


def test_a_reason_to_reject_needs_no_change_of_the_database(shop: Product) -> None:
    shop.query(
        "insert into media.ingestion_logs (status, feed, feed_location, bucket, object_key, object_uri,"
        " last_modified) values ('success', '', '', '', '', '', now())"
    )
    shop.query(
        "insert into media_ops.rejected_rows select id, 1, '', 'a new one', '' from media.ingestion_logs"
    )


def test_a_retraction_stands_until_the_key_is_loaded_by_name(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    shop.load()
    (run,) = shop.query(LOG)
    shop.run("retract", run["id"][:13])
    shop.run("retract", run["id"])
    shop.load(retry=True)
    assert len(shop.query(LOG)) == 1
    assert shop.run("retract", "ffffffff", expect={1}).stderr.count("\n") == 1
    shop.load(key=KEY)
    assert shop.query(LOG)[1]["same_content_as"] is None


def test_a_cpm_says_which_days_it_reprices(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    shop.load()
    assert "2 days" in shop.run("cpm", "set", "acme", "2.50").stdout
    assert "1 day with" in shop.run("cpm", "set", "Acme", "3", "--from", "2025-01-02").stdout
    assert "nothing" in shop.run("cpm", "set", "Acme", "3", "--from", "2025-01-02").stdout
    assert "no day with" in shop.run("cpm", "set", "Acme", "2.5", "--from", "2025-01-01").stdout
    assert "no day with" in shop.run("cpm", "remove", "Acme", "--from", "2025-01-01").stdout
    assert "1 day with" in shop.run("cpm", "remove", "Acme", "--from", "2025-01-02").stdout


def test_status_and_rejects_speak_json(shop: Product) -> None:
    shop.put(KEY, lines("2025-01-02,Acme,Spring,100", "2025-01-02,Zeta,Spring,7"), NOON)
    shop.load()
    found = json.loads(shop.run("status", "--json").stdout)
    assert found["runs"][0]["status"] == "success" and found["days_waiting"] == 1
    assert found["clients_without_cpm"] == ["Acme"] and found["rejected_rows"] == 1
    assert json.loads(shop.run("rejects", "--json").stdout)[0]["reason"] == "client"
    shop.run("status")
    assert json.loads(shop.run("clients", "list", "--json").stdout)[0]["name"] == "Acme"


def test_a_cut_connection_is_read_on_or_fails_never_half_a_file(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut:
        def __init__(self, body: Any, whole: bool) -> None:
            self.body, self.left = body, 10**9 if whole else 1000

        def read(self, size: int) -> bytes:
            if self.left <= 0:
                raise ConnectionResetError("cut")
            data: bytes = self.body.read(min(size, self.left))
            self.left -= len(data)
            return data

        def close(self) -> None:
            self.body.close()

    s3.bucket()
    content = bytes(range(256)) * 40
    s3.put("x", content)
    client = connect_s3()
    (listed,) = list_objects(client, "drops", "")
    real, calls = client.get_object, []

    def flaky(**wanted: Any) -> Any:
        calls.append(wanted.get("Range"))
        response: Any = real(**wanted)
        return {**response, "Body": Cut(response["Body"], len(calls) > 1)}

    monkeypatch.setattr(client, "get_object", flaky)
    with open_object(client, listed) as reader:
        assert reader.stream().read() == content
    assert calls == [None, "bytes=1000-"]

    def dead(self: Cut, size: int) -> bytes:
        raise ConnectionResetError("cut")

    monkeypatch.setattr(Cut, "read", dead)
    with open_object(client, listed) as reader, pytest.raises(S3Error, match="could not be read"):
        reader.stream().read()
    client.close()


def test_a_client_login_is_created_and_bound_and_its_password_verified(shop: Product) -> None:
    login = f"login_{shop.database.env['PGDATABASE']}"
    with connect(shop.database) as connection:
        client = find_client(connection, "acme")
        user = add_user(connection, "Ann@Example.com", "s3cret", client, login)
        assert verify_password(connection, "ann@example.com", "s3cret") == user
        assert verify_password(connection, "ann@example.com", "other") is None
        assert connection.execute("select pg_has_role(%s, 'media_client', 'usage')", [login]).fetchone() == (
            True,
        )
        assert disable_user(connection, "ann@example.com")
        assert verify_password(connection, "ann@example.com", "s3cret") is None
        with pytest.raises(MediaError, match="already"):
            add_user(connection, "ann@example.com", "x", client)


def test_wrong_usage_is_exit_code_2(shop: Product) -> None:
    for arguments in (
        ["load", "--what"],
        ["users", "add", "a@b.c"],
        ["cpm", "set", "Acme", "1", "--from", "x"],
    ):
        shop.run(*arguments, expect={2})
    for arguments in (["clients", "add", "ACME"], ["cpm", "set", "Nobody", "1"], ["cpm", "set", "Acme", "x"]):
        assert shop.run(*arguments, expect={1}).stderr.count("\n") == 1


@pytest.mark.any_postgres
def test_of_two_files_of_one_moment_the_later_key_counts_in_the_order_of_s3(shop: Product) -> None:
    """Not in that of the database's letters, for which a comes before B."""
    found = shop.query("select 1 from pg_collation where collname = 'und-x-icu'")
    letters = "und-x-icu" if found else "C"
    # the views read the column, so they go first; migrate makes them again
    shop.query(
        "drop view media_ops.runs_that_count, media_ops.runs_waiting_for_retry, media_ops.running_runs"
    )
    shop.query(f'alter table media.ingestion_logs alter column object_key type text collate "{letters}"')
    shop.run("migrate")
    shop.feeds({"ttd": {**FEED, "key_pattern": "csv$"}})
    for name, imps in (("B", 1), ("a", 2)):
        shop.put(f"ttd/{name}.csv", lines(f"2025-01-02,Acme,Spring,{imps}"), NOON)
    shop.load()
    shop.transform()
    assert [row["impressions"] for row in shop.query("select impressions from media.daily_metrics")] == [2]


def test_a_disk_without_room_fails_one_file_and_the_next_load_tries_it_again(
    shop: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.csv", GOOD)
    shop.put(KEY, archive.getvalue(), NOON)
    shop.put("ttd/2025-01-03.csv", lines("2025-01-03,Acme,Spring,1"), LATER)
    with monkeypatch.context() as broken:
        broken.setattr("loader.files.compression.ZIP_BYTES_IN_MEMORY", 1)
        broken.setattr("tempfile.tempdir", "/nowhere")
        assert "TMPDIR" in shop.load(expect=(1,)).stderr
    assert [run["failure"] for run in shop.query(LOG)].count("outside") == 1
    shop.load()
    assert len(shop.query(STAGED)) == 3


def test_rows_without_a_client_ask_nobody_to_add_one(shop: Product) -> None:
    shop.put(KEY, lines("2025-01-02,,Spring,100"), NOON)
    assert "clients add" not in shop.load(expect=(1,)).stderr


def test_no_feeds_at_all_is_nothing_to_do(shop: Product) -> None:
    shop.feeds({})
    shop.load()


def test_a_known_object_that_a_second_feed_matches_is_an_error(shop: Product) -> None:
    shop.put(KEY, GOOD, NOON)
    shop.load()
    shop.feeds({"ttd": FEED, "all": FEED | {"location": "s3://drops/"}})
    assert "matches the feeds" in shop.load(expect=(1,)).stderr


def test_a_name_that_two_clients_share_names_neither(shop: Product) -> None:
    shop.query("insert into media.clients (name) values ('Straße'), ('STRASSE')")
    shop.put(KEY, lines("2025-01-02,Acme,Spring,100", "2025-01-02,Strasse,Spring,7"), NOON)
    shop.load()
    assert [row["client_name"] for row in shop.query("select * from media_ops.rejected_rows")] == ["Strasse"]


@pytest.mark.parametrize("cpm", ["1_2", "1e3", "١٢", "nan", "-1", "1.23456", "1000000", ""])
def test_what_is_no_cpm_is_refused(shop: Product, cpm: str) -> None:
    assert "is not a CPM" in shop.run("cpm", "set", "Acme", "--", cpm, expect={1}).stderr
    assert shop.query("select * from media.client_settings") == []
