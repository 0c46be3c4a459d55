"""What dbt does to a database in use: any command leaves rows, keys, policies and grants as they were."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import S3
from product import MARTS, Product, product
from psycopg.errors import CheckViolation

from loader.database.server import Server
from loader.nightly.transform import BUILD
from loader.project import CHECKOUT

FEED: dict[str, Any] = {
    "location": "s3://drops/ttd/",
    "client": {"column": "Advertiser"},
    "columns": {
        "date": "Date",
        "campaign_name": "Campaign",
        "creative_name": "Creative",
        "impressions": "Imps",
        "clicks": "Clicks",
        "conversion_revenue": "Revenue",
    },
}
HEADER = "Date,Advertiser,Campaign,Creative,Imps,Clicks,Revenue"
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
SHAPE = """
with marts as (
    select pg_class.* from pg_class where relnamespace = 'media'::regnamespace and relname = any(%s)
)

select relname || ' of ' || relowner::regrole as name, concat_ws(' ', relacl, relrowsecurity) as state
from marts
union all
select conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid) from pg_constraint
where conrelid in (select oid from marts)
union all
select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index
where indrelid in (select oid from marts)
union all
select
    polrelid::regclass || ' ' || polname, concat_ws(' ', polroles::regrole [], pg_get_expr(polqual, polrelid))
from pg_policy
where polrelid in (select oid from marts)
union all
select tgrelid::regclass || ' ' || tgname, pg_get_triggerdef(oid) from pg_trigger
where tgrelid in (select oid from marts) and not tgisinternal
union all
select objoid::regclass || ' ' || objsubid, description from pg_description
where objoid in (select oid from marts) and classoid = 'pg_class'::regclass
order by name, state
"""

SILENT = """
select pg_class.oid::regclass || '.' || coalesce(pg_attribute.attname, '') as name
from pg_class left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
where
    relnamespace in ('media'::regnamespace, 'media_ops'::regnamespace) and relkind in ('r', 'v')
    and (
        col_description(pg_class.oid, attnum) is null
        or obj_description(pg_class.oid, 'pg_class') is null
    )
"""


def csv(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


@pytest.fixture(scope="module")
def module_s3(moto_server: str) -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as patch:
        yield from S3.named(moto_server, patch)


@pytest.fixture(scope="module")
def shop(server: Server, module_s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Gives a product with a built history: two clients, two months, a client without a CPM."""
    with product(server, module_s3, tmp_path_factory.mktemp("transform")) as opened:
        opened.feeds({"ttd": FEED})
        opened.add_client("Acme")
        opened.add_client("Beta")
        opened.run("cpm", "set", "Acme", "4.00")
        days = ("2025-01-30", "2025-01-31", "2025-02-03")
        rows = [
            f"{day},{who},Spring,Ad {n},{100 * n},{n},{n}.50"
            for day in days
            for who in ("Acme", "Beta")
            for n in (1, 2)
        ]
        opened.put("ttd/a.csv", csv(*rows), NOON)
        opened.load()
        opened.transform()
        yield opened


def state(shop: Product) -> dict[str, Any]:
    """Takes down all rows with their versions, and all that hangs on the marts."""
    tables = shop.tables()
    rows = {mart: sorted(map(repr, tables[mart])) for mart in MARTS}
    return {**rows, "shape": shop.query(SHAPE, list(MARTS))}


@pytest.mark.any_postgres
def test_the_marts_have_what_the_specification_gives_them(shop: Product) -> None:
    names = {row["name"].removeprefix("media."): row["state"] for row in shop.query(SHAPE, list(MARTS))}
    for index in (
        *("idx_campaign_client_name", "idx_strategy_campaign_name", "idx_metrics_client_date"),
        *("idx_metrics_campaign", "idx_metrics_strategy", "idx_metrics_placement", "idx_metrics_creative"),
    ):
        assert index in names
    keys = [definition for definition in names.values() if definition.startswith("FOREIGN KEY")]
    assert len(keys) == 4 + 3 + 5 + 2
    assert all(key.endswith("ON UPDATE CASCADE ON DELETE RESTRICT") for key in keys)
    assert all(sum(name.startswith(f"{mart} rows_of_") for name in names) == 3 for mart in MARTS)


def test_every_table_and_column_says_what_it_is(shop: Product) -> None:
    assert shop.query(SILENT) == []


@pytest.mark.parametrize(
    "commands",
    [
        [["build"]],
        [["build", "--full-refresh"]],
        [["run", "-s", "campaigns", "--full-refresh"], ["run", "-s", "weekly_summaries", "--full-refresh"]],
        [["run", "--empty"], ["run", "-s", "daily_metrics+"]],
        [["build", "--empty"]],
        [["seed", "--full-refresh"], ["build", "--vars", "{reconcile: all, rebuild_from: 2025-01-01}"]],
    ],
    ids=lambda commands: ", ".join(" ".join(command) for command in commands),
)
def test_no_command_of_dbt_changes_what_is_right(shop: Product, commands: list[list[str]]) -> None:
    before = state(shop)
    for command in commands:
        assert shop.dbt(*command)
    assert state(shop) == before
    assert shop.dbt("build", *BUILD)
    assert state(shop) == before


@pytest.fixture
def models(shop: Product) -> Iterator[Path]:
    """Gives the models as a copy, to be changed, in place of the checkout's own."""
    directory = shop.project / "models"
    directory.unlink()
    shutil.copytree(CHECKOUT / "models", directory)
    yield directory
    shutil.rmtree(directory)
    directory.symlink_to(CHECKOUT / "models")
    shop.forget_parsed()


def test_a_new_column_is_filled_where_a_rebuild_is_asked_for(shop: Product, models: Path) -> None:
    model, columns = (models / f"marts/daily_metrics.{kind}" for kind in ("sql", "yml"))
    now, then = "        {{ fitted_ratios() }},\n", "        (2 * divided.clicks)::bigint as paws,\n"
    model.write_text(model.read_text().replace(now, now + then))
    now, then = "      - name: created_at\n", "      - name: paws\n        data_type: bigint\n"
    columns.write_text(columns.read_text().replace(now, then + now))
    before = {row["id"]: row["created_at"] for row in shop.query("select * from media.daily_metrics")}
    shop.transform()
    assert shop.query("select * from media.daily_metrics where paws is not null") == []
    shop.transform(rebuild_from=date(2025, 1, 31))
    rows = shop.query("select * from media.daily_metrics")
    assert {row["id"]: row["created_at"] for row in rows} == before
    for row in rows:
        assert row["paws"] == (2 * row["clicks"] if row["date"] >= date(2025, 1, 31) else None)
    shop.query("alter table media.daily_metrics drop column paws")


@pytest.mark.any_postgres
def test_what_a_build_warns_of_is_named(shop: Product) -> None:
    told = shop.run("transform").stdout
    dates = "first_date 2025-01-30, last_date 2025-02-03, day_count 3"
    assert f"every_live_day_has_a_cpm: client_name Beta, {dates}" in told


def test_a_figure_too_big_is_null_and_named(shop: Product) -> None:
    biggest = 2**63 - 1
    shop.put(
        "ttd/big.csv",
        csv(
            f"2025-02-20,Acme,Huge,Ad,{biggest},1,9999999999.99",
            f"2025-02-20,Acme,Huge,Ad,{biggest},1,9999999999.99",
            f"2025-02-21,Acme,Huge,Ad,{biggest},1,1",
            "2025-02-18,Acme,Huge,Ad,1,1,9999999999.99",
            "2025-02-19,Acme,Huge,Ad,1,1,9999999999.99",
        ),
        NOON,
    )
    shop.load()
    told = shop.run("transform").stdout
    (day,) = shop.query("select * from media.daily_metrics where date = '2025-02-20'")
    assert [day[name] for name in ("impressions", "conversion_revenue", "spend", "ctr", "clicks")] == [
        None
    ] * 4 + [2]
    figures = "impressions, conversion_revenue, spend"
    assert f"client_name Acme, mart daily_metrics, figures {figures}, first_date 2025-02-20" in told
    assert "mart daily_metrics, figures spend, first_date 2025-02-21" in told
    assert "mart weekly_summaries, figures impressions, revenue, first_date 2025-02-17" in told
    shop.run(
        "retract", shop.query("select id from media.ingestion_logs order by run_number desc limit 1")[0]["id"]
    )
    shop.run("transform")
    assert shop.query("select * from media.campaigns where name = 'Huge'") == []


def test_a_failing_node_is_one_sentence_and_exit_code_1(shop: Product) -> None:
    shop.query("alter table media.campaigns add constraint none check (name <> 'Forbidden')")
    shop.put("ttd/b.csv", csv("2025-02-10,Acme,Forbidden,Ad,1,1,1"), NOON)
    shop.load()
    done = shop.run("transform", expect={1})
    (said,) = done.stderr.splitlines()
    assert said.startswith("campaigns: ") and "Forbidden" in said
    assert json.loads(shop.run("status", "--json").stdout)["days_waiting"] == 1
    shop.query("alter table media.campaigns drop constraint none")
    shop.transform()
    assert json.loads(shop.run("status", "--json").stdout)["days_waiting"] == 0
    shop.run("cpm", "set", "Acme", "5", "--from", "2025-02-10")
    assert json.loads(shop.run("status", "--json").stdout)["days_waiting"] == 1
    shop.transform()


def test_a_rebuild_of_one_client_or_some_days_is_asked_for_by_command(shop: Product) -> None:
    shop.run("transform", "--rebuild-from", "2025-01-31", "--rebuild-to", "2025-02-03", "--client", "acme")
    rebuilt = shop.query("select distinct date from media_models.int_days_to_rebuild order by date")
    assert [row["date"] for row in rebuilt] == [date(2025, 1, 31), date(2025, 2, 3)]
    assert shop.run(
        "transform", "--rebuild-from", "2025-02-03", "--rebuild-to", "2025-01-31", expect={1}
    ).stderr
    assert shop.run("transform", "--client", "nobody", expect={1}).stderr.count("\n") == 1


def comparable(shop: Product) -> dict[str, list[dict[str, Any]]]:
    """Gives the marts' rows less what tells when they were written."""
    said = {"xmin", "created_at", "updated_at"}
    tables = shop.tables()
    return {
        mart: sorted(({k: v for k, v in row.items() if k not in said} for row in tables[mart]), key=repr)
        for mart in MARTS
    }


def test_a_mart_that_someone_dropped_comes_back_whole(shop: Product) -> None:
    before = comparable(shop)
    shop.query("drop table media.weekly_summaries")
    shop.transform()
    assert comparable(shop) == before


def test_the_id_of_a_client_may_change_and_all_that_is_made_of_it_follows(shop: Product) -> None:
    shop.query("update media.clients set id = 'aaaaaaaa-0000-4000-8000-000000000001' where name = 'Acme'")
    shop.transform()
    after = comparable(shop)
    shop.forget_marts()
    shop.transform()
    assert comparable(shop) == after


def test_rates_are_finite_and_begin_once(shop: Product) -> None:
    for cpm, since in (("NaN", "2025-01-01"), ("1", "-infinity"), ("1", "infinity")):
        with pytest.raises(CheckViolation):
            shop.query(
                "insert into media.client_settings (client_id, cpm, effective_date)"
                " select id, %s, %s from media.clients limit 1",
                *(cpm, since),
            )


def test_source_freshness_is_told_by_dbt_itself(shop: Product) -> None:
    """In a process of its own, as someone types it who never heard of the loader."""
    shutil.copyfile(CHECKOUT / "profiles.example.yml", shop.project / "profiles.yml")
    program, where = Path(sys.executable).with_name("dbt"), ["--profiles-dir", str(shop.project)]
    done = subprocess.run(
        [program, "source", "freshness", *where],
        env=shop.env,
        cwd=shop.project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "ingestion_logs" in done.stdout, done.stdout
