"""The list of marts comes from dbt's graph: a new mart is filled, protected, recorded and repaired."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import S3
from faults import RunningCommand, holding
from product import Product, fresh_product
from test_transform import FEED, comparable, csv

from loader.database.server import Server
from loader.project import CHECKOUT

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
QUARTERLY = """
{{ config(unique_key=['client_id', 'quarter_start'], meta={'period': 'quarter'}) }}

with summarized as (
    {{ summarized('quarter') }}
),

quarterly_totals as (
    select
        summarized.client_id,
        summarized.period_start as quarter_start,
        summarized.impressions,
        summarized.spend
    from summarized
)

select * from quarterly_totals
"""
QUARTERLY_YML = """
models:
  - name: quarterly_totals
    description: The impressions and spend of each client by quarter.
    config:
      indexes:
        - {name: idx_quarterly_client_quarter, columns: [client_id, quarter_start], unique: true}
    columns:
      - {name: client_id, data_type: uuid, description: The client., constraints: [{type: not_null}]}
      - {name: quarter_start, data_type: date, description: The first day of the quarter.}
      - {name: impressions, data_type: bigint, description: Times an ad was shown.}
      - {name: spend, data_type: "numeric(12,2)", description: What the delivery costs.}
"""
ROWS = [
    f"{day},{who},Spring,Ad,{impressions},1,1.00"
    for day, impressions in (("2025-01-31", 1000), ("2025-03-31", 2000), ("2025-04-01", 4000))
    for who in ("Acme", "Beta")
]
FILLED = [("Acme", "2025-01-01", 3000), ("Acme", "2025-04-01", 4000)]
FILLED += [("Beta", start, impressions) for _, start, impressions in FILLED]


_parsed: dict[Path, bytes] = {}


@pytest.fixture
def product(server: Server, s3: S3, tmp_path: Path) -> Iterator[Product]:
    """Yields a product that is built, with a copy of the models and macros that a test can change."""
    with fresh_product(server, s3, tmp_path) as opened:
        for name in ("models", "macros"):
            (opened.project / name).unlink()
            shutil.copytree(CHECKOUT / name, opened.project / name)
        parsed = opened.project / "target" / "partial_parse.msgpack"
        if parsed in _parsed:  # of an earlier test: dbt then parses only what has changed
            parsed.parent.mkdir(exist_ok=True)
            parsed.write_bytes(_parsed[parsed])
        opened.feeds({"ttd": FEED})
        for who in ("Acme", "Beta"):
            opened.add_client(who)
            opened.run("cpm", "set", who, "4.00")
        opened.put("ttd/a.csv", csv(*ROWS), NOON)
        opened.load()
        opened.transform()
        _parsed[parsed] = parsed.read_bytes()
        yield opened


def add_quarterly(product: Product, model: str = QUARTERLY) -> None:
    (product.project / "models/marts/quarterly_totals.sql").write_text(model)
    (product.project / "models/marts/quarterly_totals.yml").write_text(QUARTERLY_YML)


def quarters(product: Product) -> list[tuple[str, str, int]]:
    rows = product.query(
        "select name, quarter_start::text, impressions from media.quarterly_totals"
        " join media.clients on clients.id = client_id order by 1, 2"
    )
    return [(row["name"], row["quarter_start"], row["impressions"]) for row in rows]


def waiting(product: Product) -> int:
    return int(json.loads(product.run("status", "--json").stdout)["days_waiting"])


def test_an_eighth_mart_is_filled_and_protected(product: Product) -> None:
    before = comparable(product)
    add_quarterly(product)
    product.transform()
    assert quarters(product) == FILLED
    assert comparable(product) == before
    policies = "select count(*) as number from pg_policy where polrelid = 'media.quarterly_totals'::regclass"
    assert product.query(policies) == [{"number": 3}]
    (key,) = product.query("select indexdef from pg_indexes where indexname = 'idx_quarterly_client_quarter'")
    assert "UNIQUE" in key["indexdef"]


def test_a_new_mart_that_fails_leaves_its_days_waiting_and_is_repaired(product: Product) -> None:
    add_quarterly(
        product, QUARTERLY.replace("summarized.impressions,", "1 / (summarized.impressions * 0)::int,")
    )
    yml = product.project / "models/marts/quarterly_totals.yml"
    yml.write_text(yml.read_text().replace("name: impressions", 'name: "?column?"'))
    product.run("transform", expect={1})
    assert waiting(product) == 6
    add_quarterly(product)
    product.transform()
    assert (quarters(product), waiting(product)) == (FILLED, 0)


@pytest.mark.parametrize("existing", [False, True], ids=["new", "dropped"])
def test_a_mart_created_by_a_partial_build_is_filled_by_the_next_whole_one(
    product: Product, existing: bool
) -> None:
    add_quarterly(product)
    if existing:
        product.transform()
        product.query("drop table media.quarterly_totals")
    product.put("ttd/b.csv", csv("2025-04-02,Acme,Spring,Ad,7,1,1.00"), NOON)
    product.load()
    assert product.dbt("build", "--exclude", "quarterly_totals")  # the work list now has only that day
    assert product.dbt("run", "-s", "quarterly_totals")
    product.transform()
    assert quarters(product) == [(who, day, n + 7 * ((who, day) == FILLED[1][:2])) for who, day, n in FILLED]


def test_days_are_not_recorded_while_a_mart_that_exists_fails(product: Product) -> None:
    add_quarterly(product)
    product.transform()
    product.query("alter table media.quarterly_totals add constraint small check (impressions < 9000)")
    product.put("ttd/b.csv", csv("2025-04-02,Acme,Spring,Ad,9000,1,1.00"), NOON)
    product.load()
    product.run("transform", expect={1})
    assert waiting(product) == 1
    product.query("alter table media.quarterly_totals drop constraint small")
    product.transform()
    assert (quarters(product)[1], waiting(product)) == (("Acme", "2025-04-01", 13000), 0)


def test_an_analysts_own_models_need_no_extra_steps(product: Product) -> None:
    """Contracted or not, with keys or without: tables, views, marts; a seed, a snapshot, an exposure."""
    reports = product.project / "models" / "reports"
    reports.mkdir()
    query = (
        "select client_id, sum(impressions)::bigint as impressions from {{ ref('daily_metrics') }} group by 1"
    )
    config = "contract={'enforced': true}, on_schema_change='fail', unique_key='client_id'"
    contracted = "{{ config(materialized='%s', " + config + ") }}\n" + query
    for kind in ("table", "view", "incremental"):
        (reports / f"by_client_{kind}.sql").write_text(contracted % kind)
    (reports / "plain.sql").write_text(query)
    (product.project / "models/marts/client_totals.sql").write_text(
        "{{ config(materialized='table') }}\n" + query
    )
    (product.project / "models/marts/client_sums.sql").write_text(
        "{{ config(unique_key='client_id') }}\n" + query
    )
    columns = """
    columns:
      - {name: client_id, data_type: uuid, constraints: [{type: not_null}]}
      - {name: impressions, data_type: bigint, constraints: [{type: check, expression: impressions >= 0}]}
"""
    keyed = """
    constraints: [{type: primary_key, columns: [client_id]}]
    config: {indexes: [{columns: [impressions]}]}"""
    names = [
        *(f"by_client_{kind}" for kind in ("table", "view", "incremental")),
        "client_totals",
        "client_sums",
    ]
    described = [f"  - name: {name}{'' if 'view' in name else keyed}{columns}" for name in names]
    (reports / "reports.yml").write_text("models:\n" + "".join(described))
    (product.project / "seeds/budgets.csv").write_text("client,budget\nAcme,100\n")
    (product.project / "snapshots").mkdir()
    (product.project / "snapshots/rates.yml").write_text(
        "snapshots:\n  - name: rates\n    relation: source('media', 'client_settings')\n"
        "    config: {unique_key: id, strategy: timestamp, updated_at: updated_at, schema: media_models}\n"
    )
    (reports / "exposures.yml").write_text(
        "exposures:\n  - {name: board, type: dashboard, owner: {name: A}, depends_on: [ref('plain')]}\n"
    )
    for _ in range(2):
        assert product.dbt("build")
    expected = product.query(
        "select client_id, sum(impressions)::bigint as impressions from media.daily_metrics group by 1"
    )
    schemas = {"client_totals": "media", "client_sums": "media"}
    for name in (*names, "plain"):
        found = product.query(f"select * from {schemas.get(name, 'media')}.{name}")
        assert sorted(found, key=repr) == sorted(expected, key=repr), name
    for mart in ("client_totals", "client_sums"):
        secured = f"select relrowsecurity from pg_class where oid = 'media.{mart}'::regclass"
        assert product.query(secured) == [{"relrowsecurity": True}]
    assert waiting(product) == 0
    product.put("ttd/b.csv", csv("2025-04-02,Acme,Spring,Ad,7,1,1.00"), NOON)
    product.load()
    product.transform()
    for mart in ("client_totals", "client_sums"):
        assert product.query(f"select sum(impressions)::int as n from media.{mart}") == [{"n": 14007}]


@pytest.mark.parametrize("arguments", [["build"], ["build", "--full-refresh"]], ids=" ".join)
def test_weeks_that_begin_on_another_day_leave_no_old_weeks(product: Product, arguments: list[str]) -> None:
    macro = product.project / "macros/figures/period_start.sql"
    month, sunday = "{%- else -%}", "{{ day }} - extract(dow from {{ day }})::int"
    assert month in macro.read_text()
    macro.write_text(macro.read_text().replace(month, f"{{%- elif period == 'week' -%}}{sunday}{month}"))
    assert product.dbt(*arguments, "--exclude-resource-type", "unit_test")
    weeks = product.query("select distinct week_start::text as day from media.weekly_summaries order by 1")
    assert [row["day"] for row in weeks] == ["2025-01-26", "2025-03-30"]


def test_a_full_refresh_removes_what_no_model_returns(product: Product) -> None:
    before = comparable(product)
    product.query(
        "insert into media.campaigns (id, client_id, name, created_at, updated_at)"
        " select gen_random_uuid(), id, 'Nobody''s', now(), now() from media.clients"
    )
    product.query(
        "insert into media.weekly_summaries"
        " (id, client_id, week_start, week_end, top_campaigns, top_creatives, created_at)"
        " select gen_random_uuid(), id, '2020-01-06', '2020-01-12', '[]', '[]', now() from media.clients"
    )
    product.transform()
    assert comparable(product) != before
    assert product.dbt("build", "--full-refresh")
    assert comparable(product) == before


def test_a_work_list_is_created_again_when_its_columns_change(product: Product) -> None:
    """A column is added, retyped and removed; the marts stay the same."""
    before = comparable(product)
    model = product.project / "models/intermediate/int_days_to_rebuild.sql"
    original = model.read_text()
    for column in ("1 as added,", "'a'::text as added,", ""):
        model.write_text(original.replace("chosen.fingerprint,", f"chosen.fingerprint, {column}"))
        product.transform()
        found = product.query(
            "select attname from pg_attribute where attrelid = 'media_models.int_days_to_rebuild'::regclass"
            " and attname = 'added'"
        )
        assert bool(found) == bool(column)
        assert comparable(product) == before


def test_a_null_in_the_unique_key_fails_the_build(product: Product) -> None:
    """Null never equals null, so MERGE would insert the row again in each build."""
    null = "nullif(summarized.period_start, '2025-01-01') as quarter_start"
    add_quarterly(product, QUARTERLY.replace("summarized.period_start as quarter_start", null))
    failed = product.run("transform", expect={1})
    assert 'column "quarter_start" of relation "quarterly_totals" contains null values' in failed.stderr


def test_columns_of_any_name_and_keys_in_any_form_work(product: Product) -> None:
    """Quoted names; a foreign key given as an expression; one of clients that the owner must not check."""
    add_quarterly(
        product, QUARTERLY.replace("summarized.impressions,", 'summarized.impressions as "Ad Impressions",')
    )
    yml = product.project / "models/marts/quarterly_totals.yml"
    text = yml.read_text().replace("name: impressions,", 'name: "Ad Impressions", quote: true,')
    key = "{type: foreign_key, expression: media.clients (id)}"
    yml.write_text(text.replace("[{type: not_null}]", f"[{{type: not_null}}, {key}]"))
    for impressions in (14_000, 14_007):
        product.transform()
        found = product.query('select sum("Ad Impressions")::int as n from media.quarterly_totals')
        assert found == [{"n": impressions}]
        product.put("ttd/b.csv", csv("2025-04-02,Acme,Spring,Ad,7,1,1.00"), NOON)
        product.load()
    keys = product.query(
        "select conname, convalidated as ok from pg_constraint"
        " where conrelid = 'media.quarterly_totals'::regclass and contype = 'f'"
    )
    assert keys == [{"conname": "quarterly_totals_client_id_fkey", "ok": True}]


def test_a_full_refresh_of_one_mart_gives_a_warning(
    product: Product, capsys: pytest.CaptureFixture[str]
) -> None:
    assert product.dbt("run", "--full-refresh", "-s", "weekly_summaries")
    assert "Run `dbt build --full-refresh` without -s" in capsys.readouterr().out
    assert product.dbt("build", "--full-refresh", "--exclude-resource-type", "unit_test")
    assert "without -s" not in capsys.readouterr().out


def test_a_changed_table_hangs_no_dashboard_behind_an_open_reader(product: Product) -> None:
    """A missing column is added, and a mart of materialization `table` is swapped, after the reader left."""
    columns = "columns: [{name: spend, data_type: numeric}]"
    (product.project / "models/marts/spends.yml").write_text(f"models:\n  - name: spends\n    {columns}\n")
    (product.project / "models/marts/spends.sql").write_text(
        "{{ config(materialized='table') }}\nselect spend::numeric as spend from {{ ref('daily_metrics') }}"
    )
    assert product.dbt("run", "-s", "spends")
    product.query("alter table media.weekly_summaries drop column top_creatives")
    for table in ("weekly_summaries", "spends"):
        with holding(product, f"select * from media.{table}") as reader:
            build = RunningCommand(product, "run", "-s", table, dbt=True)
            build.wait_until_blocked(reader)
            with product.connection() as other:
                other.execute(b"set lock_timeout = '10s'")
                for _ in range(10):  # several turns of the build
                    other.execute(f"select * from media.{table}".encode())
                    time.sleep(0.2)
        build.finish()
    product.query("select top_creatives from media.weekly_summaries")


def test_a_view_of_tables_in_schema_public_can_change(product: Product) -> None:
    product.query("create table public.budgets as select 1 as amount")
    product.query("grant select on public.budgets to media_transformer")
    view = product.project / "models/budget.sql"
    for query in ("amount", "amount, 2 as other", "2 as other"):
        view.write_text("{{ config(materialized='view') }}\nselect " + query + " from public.budgets")
        assert product.dbt("run", "-s", "budget"), query
    assert product.query("select * from media.budget") == [{"other": 2}]
