"""dbt on a database in use: no command changes rows, keys, policies or grants that are right."""

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
from product import MARTS, Product, fresh_product
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

UNCOMMENTED = """
select pg_class.oid::regclass || '.' || coalesce(pg_attribute.attname, '') as name
from pg_class left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
where
    relnamespace in ('media'::regnamespace, 'media_ops'::regnamespace) and relkind in ('r', 'v')
    and (
        attnum is not null and col_description(pg_class.oid, attnum) is null
        or obj_description(pg_class.oid, 'pg_class') is null
    )
"""


def csv(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


@pytest.fixture(scope="module")
def module_s3(moto_server: str) -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as patch:
        yield from S3.empty(moto_server, patch)


@pytest.fixture(scope="module")
def product(server: Server, module_s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Yields a product with two clients, one without a CPM, and two months that are built."""
    with fresh_product(server, module_s3, tmp_path_factory.mktemp("transform")) as opened:
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


def state(product: Product) -> dict[str, Any]:
    """Returns all rows of the marts with their versions, and everything attached to the marts."""
    tables = product.tables()
    rows = {mart: sorted(map(repr, tables[mart])) for mart in MARTS}
    return {**rows, "shape": product.query(SHAPE, list(MARTS))}


@pytest.mark.any_postgres
def test_the_marts_have_the_specified_indexes_keys_and_policies(product: Product) -> None:
    names = {row["name"].removeprefix("media."): row["state"] for row in product.query(SHAPE, list(MARTS))}
    for index in (
        *("idx_campaign_client_name", "idx_strategy_campaign_name", "idx_metrics_client_date"),
        *("idx_metrics_campaign", "idx_metrics_strategy", "idx_metrics_placement", "idx_metrics_creative"),
    ):
        assert index in names
    keys = [definition for definition in names.values() if definition.startswith("FOREIGN KEY")]
    assert len(keys) == 4 + 3 + 5 + 2
    assert all(key.endswith("ON UPDATE CASCADE ON DELETE RESTRICT") for key in keys)
    assert all(sum(name.startswith(f"{mart} rows_of_") for name in names) == 3 for mart in MARTS)


def test_every_table_and_column_has_a_comment(product: Product) -> None:
    assert product.query(UNCOMMENTED) == []


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
def test_no_dbt_command_changes_what_is_already_right(product: Product, commands: list[list[str]]) -> None:
    before = state(product)
    for command in commands:
        assert product.dbt(*command)
    assert state(product) == before
    assert product.dbt("build", *BUILD)
    assert state(product) == before


@pytest.fixture
def models(product: Product) -> Iterator[Path]:
    """Replaces the link to the checkout's models with a copy that a test can change."""
    directory = product.project / "models"
    directory.unlink()
    shutil.copytree(CHECKOUT / "models", directory)
    yield directory
    shutil.rmtree(directory)
    directory.symlink_to(CHECKOUT / "models")
    product.discard_parsed()


def test_a_new_column_is_filled_where_a_rebuild_is_requested(product: Product, models: Path) -> None:
    model, columns = (models / f"marts/daily_metrics.{kind}" for kind in ("sql", "yml"))
    anchor, added = (
        "        {{ fitted_ratios() }},\n",
        "        (2 * divided.clicks)::bigint as doubled_clicks,\n",
    )
    model.write_text(model.read_text().replace(anchor, anchor + added))
    anchor, added = "      - name: created_at\n", "      - name: doubled_clicks\n        data_type: bigint\n"
    columns.write_text(columns.read_text().replace(anchor, added + anchor))
    before = {row["id"]: row["created_at"] for row in product.query("select * from media.daily_metrics")}
    product.transform()
    assert product.query("select * from media.daily_metrics where doubled_clicks is not null") == []
    product.transform(rebuild_from=date(2025, 1, 31))
    rows = product.query("select * from media.daily_metrics")
    assert {row["id"]: row["created_at"] for row in rows} == before
    for row in rows:
        assert row["doubled_clicks"] == (2 * row["clicks"] if row["date"] >= date(2025, 1, 31) else None)
    product.query("alter table media.daily_metrics drop column doubled_clicks")


@pytest.mark.any_postgres
def test_a_build_warning_names_the_client_and_the_dates(product: Product) -> None:
    output = product.run("transform").stdout
    dates = "first_date 2025-01-30, last_date 2025-02-03, day_count 3"
    assert f"every_live_day_has_a_cpm: client_name Beta, {dates}" in output


def test_a_figure_that_is_too_big_is_null_and_a_warning_names_it(product: Product) -> None:
    biggest = 2**63 - 1
    product.put(
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
    product.load()
    output = product.run("transform").stdout
    (day,) = product.query("select * from media.daily_metrics where date = '2025-02-20'")
    assert [day[name] for name in ("impressions", "conversion_revenue", "spend", "ctr", "clicks")] == [
        None
    ] * 4 + [2]
    figures = "impressions, conversion_revenue, spend"
    assert f"client_name Acme, mart daily_metrics, figures {figures}, first_date 2025-02-20" in output
    assert "mart daily_metrics, figures spend, first_date 2025-02-21" in output
    assert "mart weekly_summaries, figures impressions, revenue, first_date 2025-02-17" in output
    product.run(
        "retract",
        product.query("select id from media.ingestion_logs order by run_number desc limit 1")[0]["id"],
    )
    product.run("transform")
    assert product.query("select * from media.campaigns where name = 'Huge'") == []


def test_a_failed_dbt_node_is_reported_in_one_sentence_with_exit_code_1(product: Product) -> None:
    product.query("alter table media.campaigns add constraint none check (name <> 'Forbidden')")
    product.put("ttd/b.csv", csv("2025-02-10,Acme,Forbidden,Ad,1,1,1"), NOON)
    product.load()
    done = product.run("transform", expect={1})
    (message,) = done.stderr.splitlines()
    assert message.startswith("campaigns: ") and "Forbidden" in message
    assert json.loads(product.run("status", "--json").stdout)["days_waiting"] == 1
    product.query("alter table media.campaigns drop constraint none")
    product.transform()
    assert json.loads(product.run("status", "--json").stdout)["days_waiting"] == 0
    product.run("cpm", "set", "Acme", "5", "--from", "2025-02-10")
    assert json.loads(product.run("status", "--json").stdout)["days_waiting"] == 1
    product.transform()


def test_a_command_can_rebuild_one_client_or_some_days(product: Product) -> None:
    product.run("transform", "--rebuild-from", "2025-01-31", "--rebuild-to", "2025-02-03", "--client", "acme")
    rebuilt = product.query("select distinct date from media_models.int_days_to_rebuild order by date")
    assert [row["date"] for row in rebuilt] == [date(2025, 1, 31), date(2025, 2, 3)]
    assert product.run(
        "transform", "--rebuild-from", "2025-02-03", "--rebuild-to", "2025-01-31", expect={1}
    ).stderr
    assert product.run("transform", "--client", "nobody", expect={1}).stderr.count("\n") == 1


def comparable(product: Product) -> dict[str, list[dict[str, Any]]]:
    """Returns the marts' rows without the columns that depend on when they were written."""
    ignored = {"xmin", "created_at", "updated_at"}
    tables = product.tables()
    return {
        mart: sorted(({k: v for k, v in row.items() if k not in ignored} for row in tables[mart]), key=repr)
        for mart in MARTS
    }


def test_a_dropped_mart_is_rebuilt_completely(product: Product) -> None:
    before = comparable(product)
    product.query("drop table media.weekly_summaries")
    product.transform()
    assert comparable(product) == before


def test_ids_in_the_marts_follow_when_a_clients_id_changes(product: Product) -> None:
    product.query("update media.clients set id = 'aaaaaaaa-0000-4000-8000-000000000001' where name = 'Acme'")
    product.transform()
    after = comparable(product)
    product.drop_marts()
    product.transform()
    assert comparable(product) == after


def test_cpms_and_their_effective_dates_must_be_finite(product: Product) -> None:
    for cpm, since in (("NaN", "2025-01-01"), ("1", "-infinity"), ("1", "infinity")):
        with pytest.raises(CheckViolation):
            product.query(
                "insert into media.client_settings (client_id, cpm, effective_date)"
                " select id, %s, %s from media.clients limit 1",
                *(cpm, since),
            )


def test_dbt_source_freshness_works(product: Product) -> None:
    """In a subprocess, as run by someone who uses dbt without the loader."""
    shutil.copyfile(CHECKOUT / "profiles.example.yml", product.project / "profiles.yml")
    program, options = Path(sys.executable).with_name("dbt"), ["--profiles-dir", str(product.project)]
    done = subprocess.run(
        [program, "source", "freshness", *options],
        env=product.env,
        cwd=product.project,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "ingestion_logs" in done.stdout, done.stdout
