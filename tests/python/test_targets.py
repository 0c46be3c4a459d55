"""Only the production target builds production; every other target is refused before it writes anything."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import S3, TEMPLATE
from dbt.cli.main import dbtRunner
from product import Product, fresh_database, fresh_product
from test_transform import FEED, csv, module_s3, state

from loader.database.connection import Database
from loader.database.server import Server
from loader.project import CHECKOUT

__all__ = ["module_s3"]
NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
DEV = {"schema": "dbt_alice"}
REFUSED = "target dev has schema dbt_alice, but this project builds only in schema media"


@pytest.fixture(scope="module")
def product(server: Server, module_s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Yields a product that is built, with a copy of the models in which daily_metrics is wrong."""
    with fresh_product(server, module_s3, tmp_path_factory.mktemp("targets")) as opened:
        opened.feeds({"ttd": FEED})
        opened.add_client("Acme")
        opened.run("cpm", "set", "Acme", "4.00")
        opened.put("ttd/a.csv", csv("2025-01-30,Acme,Spring,Ad,100,1,1.50"), NOON)
        opened.load()
        opened.transform()
        models = opened.project / "models"
        models.unlink()
        shutil.copytree(CHECKOUT / "models", models)
        edit(models / "marts/daily_metrics.sql", "fitted.cpm / 1000", "fitted.cpm / 500")
        (opened.project / "dbt_project.yml").unlink()
        shutil.copyfile(CHECKOUT / "dbt_project.yml", opened.project / "dbt_project.yml")
        opened.query("create schema dbt_alice")
        opened.query("grant usage, create on schema dbt_alice to media_transformer")
        yield opened
        opened.query("drop schema dbt_alice cascade")


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, file
    file.write_text(text.replace(old, new))


def production(product: Product) -> tuple[Any, ...]:
    """Returns everything of production that dbt can write, and what there is in other schemas."""
    relations = product.query(
        "select oid::regclass::text, relfilenode, relowner::regrole::text, pg_get_viewdef(oid) from pg_class"
        " where relnamespace::regnamespace::text in ('media', 'media_ops', 'media_models', 'dbt_alice')"
        " order by 1"
    )
    rows = ("media_ops.days_built", "media_models.int_days_to_rebuild", "media_models.name_aliases")
    return state(product), relations, [product.query(f"select xmin::text, * from {table}") for table in rows]


def refusal(
    product: Product, directory: Path, output: Mapping[str, Any], *arguments: str, target: str | None = "dev"
) -> str:
    """Runs dbt with the output `dev`; returns its error, or nothing if it succeeds."""
    write_profiles(directory, output)
    given = ["--project-dir", str(product.project), "--profiles-dir", str(directory)]
    with product.environment(arguments):
        done = dbtRunner().invoke([*arguments, *given, *(["--target", target] if target else [])])
    failed = [result.message for result in getattr(done.result, "results", []) if not done.success]
    return " ".join(f"{done.exception or failed or ''}".split())


def write_profiles(directory: Path, output: Mapping[str, Any]) -> None:
    """Writes profiles.yml with an output `dev`: that of profiles.example.yml, changed by `output`."""
    profile = yaml.safe_load((CHECKOUT / "profiles.example.yml").read_text())["paid_media"]
    dev = {name: value for name, value in {**profile["outputs"]["default"], **output}.items() if value}
    profiles = {"paid_media": {"target": "default", "outputs": {**profile["outputs"], "dev": dev}}}
    profiles["alice"] = {"target": "dev", "outputs": {"dev": dev}}
    (directory / "profiles.yml").write_text(yaml.safe_dump(profiles))


COMMANDS = (
    *("build --full-refresh", "run -s daily_metrics", "seed", "test", "show -s daily_metrics"),
    *("run-operation forget_all_days", "clone --state {state} --full-refresh"),
)


def test_a_target_of_another_schema_is_refused_by_every_command(product: Product, tmp_path: Path) -> None:
    before = production(product)
    for command in COMMANDS:
        words = command.format(state=tmp_path).split()
        assert REFUSED in refusal(product, tmp_path, DEV, *words), command
    assert production(product) == before


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--profile", "alice"], {}),
        ([], {"DBT_TARGET": "dev"}),
        ([], {"DBT_PROFILE": "alice"}),
    ],
    ids=str,
)
def test_a_target_is_refused_however_it_is_chosen(
    product: Product, tmp_path: Path, arguments: list[str], env: dict[str, str]
) -> None:
    before = production(product)
    chosen = replace(product, database=replace(product.database, env={**product.database.env, **env}))
    assert REFUSED in refusal(chosen, tmp_path, DEV, "build", *arguments, target=None)
    assert production(product) == before


def test_media_transform_on_another_target_is_refused_in_one_sentence(
    product: Product, server: Server, tmp_path: Path
) -> None:
    before = production(product)
    with fresh_database(server, TEMPLATE) as other:
        for output, sentence in (
            (DEV, REFUSED),
            ({"dbname": other.env["PGDATABASE"]}, f"names the database {other.env['PGDATABASE']} on"),
        ):
            write_profiles(tmp_path, output)
            env = {**product.database.env, "DBT_PROFILES_DIR": str(tmp_path), "DBT_TARGET": "dev"}
            chosen = replace(product, database=replace(product.database, env=env))
            (message,) = chosen.run("transform", expect={1}).stderr.splitlines()
            assert message.startswith("dbt did not finish: target dev ") and sentence in message
            assert production(product) == before


MISTAKES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], str, str]] = {
    "no role": ({"role": None}, {}, "run", "target dev works as media, but the marts belong to media_transf"),
    "another role": (
        {"role": "media_loader"},
        {},
        "build",
        "target dev works as media_loader, but the marts",
    ),
    "the marts in another schema": (
        {},
        {"marts": {"+schema": "dbt_alice"}},
        "build",
        "would be built as dbt_alice.",
    ),
    "a mart in another schema": (
        {},
        {"marts": {"weekly_summaries": {"+schema": "dbt_alice"}}},
        "run -s weekly_summaries",
        "weekly_summaries would be built as dbt_alice.weekly_summaries instead of media.weekly_summaries",
    ),
    "a mart under another name": (
        {},
        {"marts": {"daily_metrics": {"+alias": "alice_metrics"}}},
        "run -s daily_metrics",
        "daily_metrics would be built as media.alice_metrics instead of media.daily_metrics",
    ),
    "a work list in another schema": (
        {},
        {"intermediate": {"+schema": "dbt_alice"}},
        "run -s int_days_to_rebuild",
        "int_days_to_rebuild would be built as dbt_alice.int_days_to_rebuild",
    ),
    "a clone": ({}, {}, "clone --state {state} --full-refresh", "dbt clone is not supported"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_production_target_is_refused(product: Product, tmp_path: Path, name: str) -> None:
    output, config, command, sentence = MISTAKES[name]
    before = production(product)
    if "clone" in command:
        assert not refusal(product, tmp_path, {}, "--write-json", "parse", target=None)
        shutil.copyfile(product.project / "target/manifest.json", tmp_path / "manifest.json")
    with configured(product, config):
        target = "dev" if output else None
        assert sentence in refusal(
            product, tmp_path, output, *command.format(state=tmp_path).split(), target=target
        )
    assert production(product) == before


@contextmanager
def configured(product: Product, config: Mapping[str, Any]) -> Iterator[None]:
    """Changes the config of models in dbt_project.yml for the length of the block."""
    file = product.project / "dbt_project.yml"
    project = yaml.safe_load((CHECKOUT / "dbt_project.yml").read_text())
    for folder, settings in config.items():
        project["models"]["paid_media"].setdefault(folder, {}).update(settings)
    file.write_text(yaml.safe_dump(project))
    yield
    shutil.copyfile(CHECKOUT / "dbt_project.yml", file)


def test_an_analysts_folder_can_have_a_schema_of_its_own(product: Product, tmp_path: Path) -> None:
    reports = product.project / "models/reports"
    reports.mkdir()
    (reports / "totals.sql").write_text("select sum(clicks) as clicks from {{ ref('daily_metrics') }}")
    with configured(product, {"reports": {"+schema": "dbt_alice", "+alias": "all_totals"}}):
        assert not refusal(product, tmp_path, {"threads": 3}, "run", "-s", "totals")
    assert product.query("select clicks::int from dbt_alice.all_totals") == [{"clicks": 1}]
    shutil.rmtree(reports)


def test_a_database_that_is_not_migrated_is_named(product: Product, server: Server, tmp_path: Path) -> None:
    with fresh_database(server, "template0") as empty:
        name = empty.env["PGDATABASE"]
        found = refusal(product, tmp_path, {"dbname": name}, "seed")
    assert f"the database {name} has no schema media" in found and "run `media migrate`" in found


def test_a_copy_of_the_database_builds_without_touching_production(product: Product, tmp_path: Path) -> None:
    """The edited model doubles the spend in the copy."""
    before = production(product)
    output = product.run("db", "copy", "dev-alice").stdout
    env = dict(re.findall(r"^export (\w+)=(.+)$", output, re.MULTILINE))
    copy = replace(product, database=Database("a copy", env))
    try:
        copy.transform(rebuild_from=date(2025, 1, 1))
        spend = "select sum(spend)::text as spend from media.daily_metrics"
        assert (copy.query(spend), product.query(spend)) == ([{"spend": "0.80"}], [{"spend": "0.40"}])
        assert production(product) == before
    finally:
        (drop,) = re.findall(r"^to drop it: media (.+)$", output, re.MULTILINE)
        product.run(*shlex.split(drop))
    assert product.query("select 1 from pg_database where datname = 'dev-alice'") == []


def test_a_copy_that_cannot_be_made_is_refused_in_one_sentence(product: Product, server: Server) -> None:
    name = product.database.env["PGDATABASE"]

    def refused(copy: str, login: str = "media") -> str:
        env = {**product.database.env, "PGUSER": login}
        done = replace(product, database=Database("production", env)).run("db", "copy", copy, expect={1})
        (sentence,) = done.stderr.splitlines()
        return sentence

    for invalid in ("", "a b", "1st", 'x"; drop database media', "x" * 64, "postgres://h/x", "dbname=x"):
        assert "cannot be the name of a database" in refused(invalid)
    assert refused("postgres") == "the database postgres exists already: choose another name"
    with product.connection() as reader:
        pid = reader.info.backend_pid
        assert f"{name} cannot be copied while others are connected (media of media, pid {pid}, since " in (
            refused("dev")
        )
    with server.connect("postgres") as connection:
        connection.execute("create role bystander login")
        try:
            assert f"bystander may not copy {name}" in refused("dev", "bystander")
        finally:
            connection.execute("drop role bystander")
        assert connection.execute("select 1 from pg_database where datname = 'dev'").fetchall() == []
