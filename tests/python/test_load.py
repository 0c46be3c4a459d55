"""Loads from S3 into staging_media_raw, with the commands, a real PostgreSQL and moto's S3."""

from __future__ import annotations

import csv
import gzip
import io
import json
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from conftest import S3
from product import Product, fresh_product

from loader.agency.clients import find_client
from loader.agency.users import add_user, disable_user, verify_password
from loader.database.connection import connect
from loader.database.server import Server
from loader.errors import MediaError
from loader.files.feeds import read_feeds
from loader.ingestion.ingest import ingest
from loader.ingestion.ledger import object_lock
from loader.ingestion.load import plan
from loader.ingestion.s3 import S3Error, connect_s3, list_objects, open_object
from loader.ingestion.staging import RowIds
from loader.ingestion.task import Result

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
def product(server: Server, s3: S3, tmp_path: Path) -> Any:
    with fresh_product(server, s3, tmp_path) as opened:
        opened.feeds({"ttd": FEED})
        opened.add_client("Acme")
        yield opened


def test_a_new_object_is_loaded_and_recorded_once(product: Product) -> None:
    product.put(KEY, gzip.compress(GOOD), NOON)
    assert json.loads(product.run("load", "--json").stdout)[0]["loaded"] == 2
    product.load()
    (run,) = product.query(LOG)
    assert (run["status"], run["records_loaded"], run["failure"]) == ("success", 2, None)
    assert f"{run['run_date']}" == "2025-01-02"
    assert run["finished_at"] is not None
    rows = product.query(STAGED)
    assert [(row["campaign_name"], row["impressions"]) for row in rows] == [("Autumn", 5), ("Spring", 100)]
    assert len(product.query("select * from media_ops.run_days")) == 2


def test_ids_are_in_the_order_of_the_rows(product: Product) -> None:
    count = 5_000  # more than one block
    product.put(KEY, lines(*(f"2025-01-02,Acme,{number},{number}" for number in range(count))), NOON)
    product.load()
    rows = product.query("select impressions from media.staging_media_raw order by id")
    assert [row["impressions"] for row in rows] == list(range(count))


def test_ids_generated_at_the_same_moment_are_unique_and_of_version_7() -> None:
    ids = RowIds()
    ids_generated = [UUID(text) for _ in range(100) for text in ids.next(10)]
    assert len(set(ids_generated)) == len(ids_generated) == 1_000
    assert {(one.version, one.variant) for one in ids_generated} == {(7, RFC_4122)}


def test_a_dry_run_loads_nothing(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    assert KEY in product.run("load", "--dry-run").stdout
    assert product.query(LOG) == []
    assert product.query("select * from media_ops.feeds") == []


def test_a_name_with_special_characters_is_loaded_as_it_is(product: Product) -> None:
    odd = "a\\b\\N\tc'; drop table media.clients; --"
    product.put(KEY, lines(f'2025-01-02,Acme,"{odd}",1', '2025-01-02,Acme,"two\nlines",1'), NOON)
    product.load()
    names = {row["campaign_name"] for row in product.query(STAGED)}
    assert odd in names


def test_the_same_content_again_loads_nothing_and_is_then_known(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    product.load()
    product.put(KEY, GOOD, LATER)
    product.load()
    product.load()
    first, second = product.query(LOG)
    assert second["same_content_as"] == first["id"] and second["records_loaded"] == 0
    assert [run["last_modified"].day for run in (first, second)] == [NOON.day, LATER.day]
    assert len(product.query(STAGED)) == 2


def test_copying_objects_in_place_does_not_put_a_file_after_its_correction(product: Product) -> None:
    product.feeds({"ttd": {**FEED, "key_pattern": "csv$"}})
    wrong, right = lines("2025-01-02,Acme,Spring,100"), lines("2025-01-02,Acme,Spring,8")
    files = [("ttd/wrong.csv", wrong), ("ttd/corrected.csv", right)]
    for hour, (key, content) in enumerate(files):
        product.put(key, content, NOON + timedelta(hours=hour))
    product.load()
    product.transform()
    for hour, (key, content) in enumerate(reversed(files)):  # the correction is copied first
        product.put(key, content, LATER + timedelta(hours=hour))
    product.load()
    product.transform()
    assert [row["impressions"] for row in product.query("select impressions from media.daily_metrics")] == [8]


def test_the_same_content_again_has_the_run_date_of_the_run_in_force(product: Product) -> None:
    product.feeds({"ttd": {**FEED, "key_pattern": "csv$"}})
    for moment in (NOON, LATER):
        product.put(KEY, GOOD, moment)
        product.load()
    assert [f"{run['run_date']}" for run in product.query(LOG)] == ["2025-01-02"] * 2


def test_load_with_key_always_makes_a_new_run(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    product.load()
    product.load(key=KEY)
    assert [run["same_content_as"] for run in product.query(LOG)] == [None, None]
    assert product.run("load", "--key", "ttd/none.csv", expect={1}).stderr.count("\n") == 1


def test_rows_of_an_unknown_client_wait_for_a_retry_and_do_not_fail_later_loads(product: Product) -> None:
    product.put(KEY, lines("2025-01-02,Acme,Spring,100", "2025-01-02,Zeta,Spring,7"), NOON)
    product.load()
    assert [row["client_name"] for row in product.query("select * from media_ops.rejected_rows")] == ["Zeta"]
    product.add_client("Zeta")
    product.load()
    assert len(product.query(LOG)) == 1
    product.load(retry=True)
    assert product.query(LOG)[1]["records_loaded"] == 2
    product.load(retry=True)
    assert len(product.query(LOG)) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines("2025-01-02,Zeta,Spring,1"), "unknown client 'Zeta'"),
        (lines("2025-01-02,Acme,Spring,x", "2025-01-02,Acme,Spring,1"), "max_rejected"),
        (b"", "empty"),
        (gzip.compress(GOOD, mtime=0)[:-12], ""),
        (b"Day,Who\n", "Date"),
    ],
)
def test_a_file_with_bad_content_fails_once_and_stages_nothing(
    product: Product, content: bytes, message: str
) -> None:
    product.put(KEY, content, NOON)
    done = product.load(expect={1})
    assert message in done.stderr and done.stderr.count("\n") == 1
    product.load()
    (run,) = product.query(LOG)
    assert (run["status"], run["failure"], run["records_loaded"]) == ("failed", "content", 0)
    assert run["records_failed"] == len(product.query("select * from media_ops.rejected_rows"))
    assert product.query(STAGED) == []


def test_a_file_with_only_a_header_succeeds_with_0_rows(product: Product) -> None:
    product.put(KEY, lines(), NOON)
    product.load()
    assert product.query(LOG)[0]["status"] == "success"


def test_a_missing_bucket_is_reported_in_one_sentence_and_other_feeds_are_loaded(product: Product) -> None:
    product.feeds({"gone": {**FEED, "location": "s3://nowhere/"}, "ttd": FEED})
    product.put(KEY, GOOD, NOON)
    done = product.load(expect={1})
    assert "bucket that does not exist" in done.stderr
    assert len(product.query(STAGED)) == 2


def test_an_object_replaced_after_listing_is_not_read(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    client = connect_s3()
    (listed,) = list_objects(client, "drops", "ttd/")
    product.put(KEY, lines(), LATER)
    with pytest.raises(S3Error, match="replaced while being read"):
        open_object(client, listed)
    client.close()


def _with_first_task(product: Product, work: Callable[[Any, Any, Any], None]) -> None:
    client = connect_s3()
    tasks, _ = plan(product.database, client, read_feeds(product.feeds_file))
    work(product.database, client, tasks[0])
    client.close()


def test_a_load_of_an_object_replaced_after_listing_fails_and_is_tried_again(product: Product) -> None:
    def work(db: Any, client: Any, task: Any) -> None:
        product.put(KEY, lines("2025-01-02,Acme,New,9"), LATER)
        assert ingest(db, client, task).failure == "outside"

    product.put(KEY, GOOD, NOON)
    _with_first_task(product, work)
    product.load()
    assert [row["campaign_name"] for row in product.query(STAGED)] == ["New"]


def test_an_object_deleted_after_listing_is_recorded_as_a_failed_run(product: Product) -> None:
    def work(db: Any, client: Any, task: Any) -> None:
        product.s3.client.delete_object(Bucket="drops", Key=KEY)
        result = ingest(db, client, task)
        assert result.message.endswith("no longer exists: it was deleted after it was listed")

    product.put(KEY, GOOD, NOON)
    _with_first_task(product, work)
    (run,) = product.query(LOG)
    assert (run["status"], run["failure"], run["records_loaded"]) == ("failed", "outside", 0)


def test_two_loaders_in_parallel_load_an_object_once(product: Product) -> None:
    results: list[Result] = []

    def work(db: Any, client: Any, task: Any) -> None:
        pair = [threading.Thread(target=lambda: results.append(ingest(db, client, task))) for _ in "ab"]
        with (
            connect(db, autocommit=True) as connection,
            object_lock(connection, task.obj.bucket, task.obj.key),
        ):
            for thread in pair:
                thread.start()
        for thread in pair:
            thread.join()

    product.put(KEY, GOOD, NOON)
    _with_first_task(product, work)
    assert sorted(result.status for result in results) == ["loaded", "skipped"]
    assert len(product.query(STAGED)) == 2


def test_a_loader_does_not_wait_for_another_one_forever(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(db: Any, client: Any, task: Any) -> None:
        with connect(db) as connection, object_lock(connection, task.obj.bucket, task.obj.key):
            result = ingest(db, client, task)
        assert (
            result.status == "failed" and "another loader has been loading it for an hour" in result.message
        )

    monkeypatch.setattr("loader.ingestion.ledger.WAIT_SECONDS", 0)
    product.put(KEY, GOOD, NOON)
    _with_first_task(product, work)
    assert product.query(LOG) == []


def test_a_broken_connection_to_postgresql_leaves_a_failed_run(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: Any, *_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(pg_backend_pid())")

    def work(db: Any, client: Any, task: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr("loader.ingestion.ingest.write_run_days", broken)
            assert ingest(db, client, task).failure == "outside"

    product.put(KEY, GOOD, NOON)
    _with_first_task(product, work)
    (run,) = product.query(LOG)
    assert run["status"] == "failed" and run["message"].startswith("PostgreSQL: ")
    product.load()
    assert len(product.query(STAGED)) == 2


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ("alter table media.staging_media_raw add check (impressions < 100)", "violates check constraint"),
        ("alter table media.staging_media_raw add views int not null", "violates not-null constraint"),
        ("alter table media_ops.run_days add check (row_count > 1)", "violates check constraint"),
    ],
)
def test_a_file_that_violates_a_constraint_waits_for_a_retry(
    product: Product, constraint: str, message: str
) -> None:
    """Loading it again would fail in the same way."""
    product.query(constraint)
    product.put(KEY, GOOD, NOON)
    stderr = product.load(expect={1}).stderr
    assert (
        stderr.count("\n") == 1
        and message in stderr
        and "media load --retry" in stderr
        and "Failing row" not in stderr
    )
    (run,) = product.query(LOG)
    assert (run["status"], run["failure"], run["message"] in stderr) == ("failed", "content", True)
    assert "0 objects" in product.load().stdout  # the file is not tried again


def test_the_database_accepts_a_new_rejection_reason(product: Product) -> None:
    product.query(
        "insert into media.ingestion_logs (status, feed, feed_location, bucket, object_key, object_uri,"
        " last_modified) values ('success', '', '', '', '', '', now())"
    )
    product.query(
        "insert into media_ops.rejected_rows select id, 1, '', 'a new one', '' from media.ingestion_logs"
    )


def test_a_retraction_holds_until_the_key_is_loaded_with_key(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    product.load()
    (run,) = product.query(LOG)
    product.run("retract", run["id"][:13])
    product.run("retract", run["id"])
    product.load(retry=True)
    assert len(product.query(LOG)) == 1
    assert product.run("retract", "ffffffff", expect={1}).stderr.count("\n") == 1
    product.put(KEY, GOOD, LATER)  # a copy in place
    assert "which was retracted" in product.load().stdout
    assert product.query("select 1 from media_ops.runs_that_count") == []
    product.load()
    product.load(key=KEY)
    assert [r["same_content_as"] for r in product.query(LOG)] == [None, run["id"], None]
    product.put(KEY, GOOD, LATER + timedelta(hours=1))
    assert "which was retracted" not in product.load().stdout
    assert len(product.query("select 1 from media_ops.runs_that_count")) == 1


def test_cpm_commands_report_which_days_they_reprice(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    product.load()
    assert "2 days" in product.run("cpm", "set", "acme", "2.50").stdout
    assert "1 day with" in product.run("cpm", "set", "Acme", "3", "--from", "2025-01-02").stdout
    assert "nothing" in product.run("cpm", "set", "Acme", "3", "--from", "2025-01-02").stdout
    assert "no day with" in product.run("cpm", "set", "Acme", "2.5", "--from", "2025-01-01").stdout
    assert "no day with" in product.run("cpm", "remove", "Acme", "--from", "2025-01-01").stdout
    assert "1 day with" in product.run("cpm", "remove", "Acme", "--from", "2025-01-02").stdout


def test_status_rejects_and_clients_list_print_json(product: Product) -> None:
    product.put(KEY, lines("2025-01-02,Acme,Spring,100", "2025-01-02,Zeta,Spring,7"), NOON)
    product.load()
    found = json.loads(product.run("status", "--json").stdout)
    assert found["runs"][0]["status"] == "success" and found["days_waiting"] == 1
    assert found["clients_without_cpm"] == ["Acme"] and found["rejected_rows"] == 1
    assert json.loads(product.run("rejects", "--json").stdout)[0]["reason"] == "client"
    product.run("status")
    assert json.loads(product.run("clients", "list", "--json").stdout)[0]["name"] == "Acme"


def test_reading_resumes_after_a_broken_connection_or_fails(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    class BrokenBody:
        def __init__(self, body: Any, complete: bool) -> None:
            self.body, self.left = body, 10**9 if complete else 1000

        def read(self, size: int) -> bytes:
            if self.left <= 0:
                raise ConnectionResetError("reset")
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

    def flaky(**request: Any) -> Any:
        calls.append(request.get("Range"))
        response: Any = real(**request)
        return {**response, "Body": BrokenBody(response["Body"], len(calls) > 1)}

    monkeypatch.setattr(client, "get_object", flaky)
    with open_object(client, listed) as reader:
        assert reader.stream().read() == content
    assert calls == [None, "bytes=1000-"]

    def dead(self: BrokenBody, size: int) -> bytes:
        raise ConnectionResetError("reset")

    monkeypatch.setattr(BrokenBody, "read", dead)
    with open_object(client, listed) as reader, pytest.raises(S3Error, match="could not be read"):
        reader.stream().read()
    client.close()


def test_a_clients_login_is_created_and_its_password_can_be_verified(product: Product) -> None:
    login = f"login_{product.database.env['PGDATABASE']}"
    with connect(product.database) as connection:
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


def test_wrong_usage_exits_with_2_and_a_refused_request_with_1(product: Product) -> None:
    for arguments in (
        ["load", "--what"],
        ["users", "add", "a@b.c"],
        ["cpm", "set", "Acme", "1", "--from", "x"],
    ):
        product.run(*arguments, expect={2})
    for arguments in (["clients", "add", "ACME"], ["cpm", "set", "Nobody", "1"], ["cpm", "set", "Acme", "x"]):
        assert product.run(*arguments, expect={1}).stderr.count("\n") == 1


@pytest.mark.any_postgres
def test_of_two_files_with_the_same_last_modified_the_greater_key_in_s3_order_is_live(
    product: Product,
) -> None:
    """The database's collation sorts a before B; S3 sorts by bytes."""
    found = product.query("select 1 from pg_collation where collname = 'und-x-icu'")
    collation = "und-x-icu" if found else "C"
    # the views use the column; migrate creates them again
    product.query(
        "drop view media_ops.runs_that_count, media_ops.runs_waiting_for_retry, media_ops.running_runs"
    )
    product.query(f'alter table media.ingestion_logs alter column object_key type text collate "{collation}"')
    product.run("migrate")
    product.feeds({"ttd": {**FEED, "key_pattern": "csv$"}})
    for name, imps in (("B", 1), ("a", 2)):
        product.put(f"ttd/{name}.csv", lines(f"2025-01-02,Acme,Spring,{imps}"), NOON)
    product.load()
    product.transform()
    assert [row["impressions"] for row in product.query("select impressions from media.daily_metrics")] == [2]


def test_a_failed_temporary_file_fails_one_object_and_the_next_load_tries_it_again(
    product: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.csv", GOOD)
    product.put(KEY, archive.getvalue(), NOON)
    product.put("ttd/2025-01-03.csv", lines("2025-01-03,Acme,Spring,1"), LATER)
    with monkeypatch.context() as patch:
        patch.setattr("loader.files.compression.ZIP_BYTES_IN_MEMORY", 1)
        patch.setattr("tempfile.tempdir", "/nowhere")
        assert "TMPDIR" in product.load(expect=(1,)).stderr
    assert [run["failure"] for run in product.query(LOG)].count("outside") == 1
    product.load()
    assert len(product.query(STAGED)) == 3


def test_rows_with_a_blank_client_do_not_suggest_adding_one(product: Product) -> None:
    product.put(KEY, lines("2025-01-02,,Spring,100"), NOON)
    assert "clients add" not in product.load(expect=(1,)).stderr


def test_load_without_feeds_does_nothing(product: Product) -> None:
    product.feeds({})
    product.load()


def test_a_known_object_that_a_second_feed_matches_is_an_error(product: Product) -> None:
    product.put(KEY, GOOD, NOON)
    product.load()
    product.put("ttd/2025-01-03.csv", lines("2025-01-03,Acme,Spring,1"), NOON)
    product.put("other/2025-01-03.csv", lines("2025-01-03,Acme,Spring,1"), NOON)
    product.feeds({"ttd": FEED, "all": FEED | {"location": "s3://drops/"}})
    done = product.load(expect=(1,))
    assert done.stderr.count("matches the feeds ttd and all") == done.stderr.count("\n") == 2
    assert "loaded s3://drops/other/2025-01-03.csv" in done.stdout


def test_a_name_shared_by_two_clients_matches_neither(product: Product) -> None:
    product.query("insert into media.clients (name) values ('Straße'), ('STRASSE')")
    product.put(KEY, lines("2025-01-02,Acme,Spring,100", "2025-01-02,Strasse,Spring,7"), NOON)
    product.load()
    assert [row["client_name"] for row in product.query("select * from media_ops.rejected_rows")] == [
        "Strasse"
    ]


@pytest.mark.parametrize("cpm", ["1_2", "1e3", "١٢", "nan", "-1", "1.23456", "1000000", ""])
def test_a_bad_cpm_is_refused(product: Product, cpm: str) -> None:
    assert "is not a CPM" in product.run("cpm", "set", "Acme", "--", cpm, expect={1}).stderr
    assert product.query("select * from media.client_settings") == []


def test_of_a_run_that_failed_for_its_rejected_rows_the_first_10000_are_kept(product: Product) -> None:
    product.put(KEY, lines(*(f"2025-01-02,Acme,Spring,{'x' * (n % 9)}!" for n in range(10_050))), NOON)
    product.load(expect=(1,))
    (run,) = product.query(LOG)
    assert (run["status"], run["records_failed"]) == ("failed", 10_050)
    kept = product.query(
        "select count(*)::int, min(line_number)::int, max(line_number)::int from media_ops.rejected_rows"
    )
    assert kept == [{"count": 10_000, "min": 2, "max": 10_001}]
    assert product.run("rejects").stdout.count("\n") == 10_002  # the database, the header, the rows
    listed = json.loads(product.run("rejects", "--json").stdout)
    assert [row["line"] for row in listed] == list(range(2, 10_002))


def test_a_good_file_keeps_all_its_rejected_rows(product: Product) -> None:
    product.put(KEY, lines("2025-01-02,Acme,Spring,1", *["2025-01-02,Zeta,Spring,1"] * 10_050), NOON)
    product.load()
    assert product.query("select count(*)::int from media_ops.rejected_rows") == [{"count": 10_050}]


def test_an_unknown_clients_name_is_cut_and_no_cut_name_matches_a_client(product: Product) -> None:
    longest = "Č" * 255
    for name in (longest, longest + "x", "y" * 900_000):
        product.put(KEY, lines(f"2025-01-02,{name},Spring,1", "2025-01-02,Acme,Spring,1"), NOON)
        product.load("ttd", KEY)
        (kept,) = product.query(
            "select client_name from media_ops.rejected_rows"
            " where run_id = (select id from media.ingestion_logs order by run_number desc limit 1)"
        )
        assert len(kept["client_name"]) == 255 and kept["client_name"][:254] == name[:254]
    product.add_client(longest)
    product.put(KEY, lines(f"2025-01-02,{longest}x,Spring,1", "2025-01-02,Acme,Spring,1"), LATER)
    product.load()
    before = len(product.query(LOG))
    product.load_as_the_nightly_flow()
    assert len(product.query(LOG)) == before


@pytest.mark.parametrize("cell", ["=HYPERLINK(1)", "+1+cmd", "-2+3", "@SUM(1)", " =1", "\x1b]0;x\x07"])
def test_rejected_rows_in_a_csv_are_text_to_spreadsheets_and_terminals(
    product: Product, tmp_path: Path, cell: str
) -> None:
    product.put(KEY, f"Date,Advertiser,Campaign,Imps\n{cell},x\n2025-01-02,Acme,Spring,1\n".encode(), NOON)
    product.feeds({"ttd": FEED | {"max_rejected": 1}})
    product.load()
    product.run("rejects", "--csv", f"{tmp_path / 'rejects.csv'}")
    with (tmp_path / "rejects.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["raw"][0] not in "=+-@ \x1b" and row["raw"].endswith(",x")
    assert row["raw"].isprintable()


def test_rows_that_skip_matches_are_counted_but_never_rejected(product: Product) -> None:
    """The total has too few fields, the note too many; a blank line is not a row, whatever matches it."""
    skip = [
        {"column": "Campaign", "matches": "^(Total|Note:|$)"},
        {"column": {"position": 1}, "matches": "^$"},
    ]
    product.feeds({"ttd": {**FEED, "skip": skip, "max_rejected": 0}})
    rows = ("2025-01-02,Acme,Spring,100", "x,y, Total", "2025-01-02,,Note: all,1,2,3", "", ",,,", ",Acme,A,1")
    product.put(KEY, lines(*rows), NOON)
    product.load()
    (run,) = product.query(LOG)
    counts = (run["records_loaded"], run["records_skipped"], run["records_failed"])
    assert (run["message"], *counts) == ("1 row, 3 skipped", 1, 3, 0)
    product.put(KEY, lines("2025-01-02,Acme,Total,100"), LATER)
    product.load()
    assert product.query(LOG)[-1]["message"] == "0 rows, 1 skipped"
