"""A dump that is restored without a superuser works after `media migrate`: same access, same marts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from access import BUCKET, FEEDS, Agency, csv
from access_catalogue import differences
from product import Product

from loader.database import binaries
from loader.database.connection import Database, connect
from loader.database.migrate import catalogue, migrate

EXTRA = {**FEEDS["desk"], "location": "s3://agency/extra/"}


@pytest.fixture(scope="module")
def dump(agency: Agency, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a dump of the agency's database, made by its owner."""
    file = tmp_path_factory.mktemp("dump") / "agency.dump"
    run(agency.product.database, "pg_dump", "--format=custom", f"--file={file}")
    return file


def run(database: Database, program: str, *arguments: str) -> None:
    """Runs one of PostgreSQL's programs; pg_restore goes on after an error and then exits with 1."""
    done = subprocess.run(
        [binaries.wheel() / program, *arguments],
        env=database.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode or (program == "pg_restore" and "--no-owner" not in arguments), done.stderr


@contextmanager
def restored(agency: Agency, dump: Path, login: str, *options: str) -> Iterator[Product]:
    """Yields the commands on a new database of the owner, into which the login restored the dump."""
    with agency.server.connect("postgres") as connection:
        connection.execute("create database restored owner agency_owner")
        try:
            env = {**agency.product.database.env, "PGDATABASE": "restored"}
            product = replace(agency.product, database=Database("the restored database", env))
            run(by(product, login).database, "pg_restore", "--dbname=restored", *options, str(dump))
            yield product
        finally:
            connection.execute("drop database restored with (force)")


def by(product: Product, login: str) -> Product:
    return replace(product, database=Database(login, {**product.database.env, "PGUSER": login}))


def rows(product: Product) -> list[str]:
    """Returns the rows of the marts, without those that the extra file adds."""
    found = []
    for mart in ("campaigns", "strategies", "placements", "creatives"):
        found += product.query(f"select * from media.{mart} order by id")
    daily = "select * from media.daily_metrics where date <> '2026-02-01' order by id"
    return [repr(row) for row in found + product.query(daily)]


@pytest.mark.parametrize("options", [[], ["--no-owner", "--no-privileges"]], ids=["plain", "no owner"])
def test_a_restored_database_works_after_migrate(
    agency: Agency, dump: Path, tmp_path: Path, options: list[str]
) -> None:
    with restored(agency, dump, "agency_owner", *options) as product:
        assert "migrated" in product.run("migrate").stdout
        assert "nothing to change" in product.run("migrate").stdout
        by(product, "loading").run("status")
        extra = replace(product, feeds_file=tmp_path / "feeds.yml")
        extra.feeds({**FEEDS, "extra": EXTRA})
        s3 = agency.product.s3
        s3.put("extra/2026-02-01.csv", csv("2026-02-01"), BUCKET)
        assert "12 rows loaded" in by(extra, "loading").run("load", "--feed", "extra").stdout
        s3.client.delete_object(Bucket=BUCKET, Key="extra/2026-02-01.csv")
        assert "0 failed" in by(extra, "building").run("transform", "--rebuild-from", "2000-01-01").stdout
        assert len(product.query("select 1 from media.daily_metrics where date = '2026-02-01'")) == 12
        assert rows(product) == rows(agency.product)
        with connect(product.database) as connection, connect(agency.product.database) as original:
            assert differences(connection) == []
            # pg_dump writes the check `in ('a', 'b')` in another form
            different = set(catalogue(connection)) ^ set(catalogue(original))
            assert [line for line in different if not line[2].startswith("CHECK (")] == []


@pytest.mark.parametrize(
    ("login", "option"),
    [
        ("agency_owner", "--no-owner"),
        ("agency_owner", "--no-privileges"),
        ("agency_owner", "--no-policies"),
        ("deploying", "--no-privileges"),
        ("media", "--no-privileges"),
    ],
)
def test_migrate_repairs_what_a_restore_left_out(
    agency: Agency, dump: Path, deploying: None, login: str, option: str
) -> None:
    with restored(agency, dump, login, option) as product:
        by(product, login).run("migrate")
        with connect(product.database) as connection:
            assert differences(connection) == []
            owners = connection.execute(OWNERS).fetchall()
        assert owners == [("media", "agency_owner"), ("media_models", "media_transformer")]
        assert "nothing to change" in product.run("migrate").stdout


OWNERS = """
select distinct relnamespace::regnamespace::text, relowner::regrole::text from pg_class
where relnamespace = 'media_models'::regnamespace or oid = 'media.clients'::regclass
order by 1
"""


@pytest.fixture
def deploying(agency: Agency) -> Iterator[None]:
    """Creates a login that is a member of the owner."""
    with agency.server.connect("postgres") as connection:
        connection.execute("create role deploying login in role agency_owner")
        yield
        connection.execute("drop role deploying")


def test_a_build_names_who_has_to_migrate_after_a_restore(
    agency: Agency, dump: Path, deploying: None
) -> None:
    with restored(agency, dump, "deploying") as product:
        product.run("migrate")
        (sentence,) = by(product, "building").run("transform", expect={1}).stderr.splitlines()
        assert "belongs to deploying, but dbt can replace only what belongs to media_transformer" in sentence
        assert "after a restore, run `media migrate` as deploying" in sentence
        by(product, "deploying").run("migrate")
        with connect(product.database) as connection:
            assert differences(connection) == []


def test_what_dbts_role_had_created_does_not_become_the_owners(agency: Agency, dump: Path) -> None:
    """After --no-owner, a function with `security definer` and a view would read what dbt's may not."""
    with restored(agency, dump, "agency_owner", "--no-owner", "--no-privileges") as product:
        product.query(
            """
            create function media_models.hashes() returns setof text language sql security definer
            as 'select password_hash from media.users';
            create view media.hashes as select password_hash from media.users;
            create table media.totals (n serial, m int generated always as identity);
            create sequence media_models.counter
            """
        )
        product.run("migrate")
        with connect(by(product, "building").database, autocommit=True) as connection:
            connection.execute("drop sequence media_models.counter")
            connection.execute("alter table media.totals add column total int")
            for query in (b"select media_models.hashes()", b"select * from media.hashes"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="for table users"):
                    connection.execute(query)
        with connect(by(product, "agency_bi").database) as connection:
            connection.execute("select * from media.totals")


def test_migrate_hands_over_nothing_without_a_restore(agency: Agency) -> None:
    """Neither a table that the owner, nor one that someone else created in dbt's schemas."""
    with agency.server.connect("agency") as connection, connection.transaction(force_rollback=True):
        connection.execute("create table media.notes (id int); alter table media.notes owner to outsider")
        connection.execute("set local session authorization agency_owner")
        connection.execute("create table media.private (id int); create table media_models.private (id int)")
        migrate(connection)
        owners = connection.execute(
            """
            select relowner::regrole::text, relacl from pg_class
            where relname in ('notes', 'private') and relnamespace::regnamespace::text ~ '^media' order by 1
            """
        ).fetchall()
        assert owners == [("agency_owner", None), ("agency_owner", None), ("outsider", None)]
