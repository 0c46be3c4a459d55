"""What a login that may build can plant for others to run: it gains no rights by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from access import Agency
from product import Product

pytestmark = pytest.mark.any_postgres

SPY = """
create function media_models.spy() returns boolean language plpgsql as $$begin
    insert into public.seen values (current_user); return true;
end$$
"""
CALL = "set_config('role', 'none', false) is not null"
TRIGGER = "returns trigger language plpgsql as 'begin return new; end'"
PLANTED = {
    "the view media_models.extra": (
        "create view media_models.extra as select 1 as x",
        "drop view media_models.extra",
    ),
    "the view media.extra": (
        "create materialized view media.extra as select 1 as x",
        "drop materialized view media.extra",
    ),
    "the view media.campaigns in place of a table": (
        "alter table media.campaigns rename to campaigns_moved;"
        "create view media.campaigns as select * from media.campaigns_moved",
        "drop view media.campaigns; alter table media.campaigns_moved rename to campaigns",
    ),
    "the function media_models.f()": (
        "create function media_models.f() returns int language sql as 'select 1'",
        "drop function media_models.f()",
    ),
    "the trigger mine on media.daily_metrics": (
        f"create function media_models.f() {TRIGGER};"
        "create trigger mine before update on media.daily_metrics"
        " for each row execute function media_models.f()",
        "drop function media_models.f() cascade",
    ),
    "the trigger touch_updated_at on media_models.int_names_staged": (
        "create trigger touch_updated_at before insert on media_models.int_names_staged for each row"
        f" when ({CALL}) execute function media_ops.touch_updated_at()",
        "drop trigger touch_updated_at on media_models.int_names_staged",
    ),
    "the trigger late on media.creatives": (
        "create constraint trigger late after update on media.creatives deferrable initially deferred"
        " for each row execute function suppress_redundant_updates_trigger()",
        "drop trigger late on media.creatives",
    ),
    "the rule mine on media_models.int_days_to_rebuild": (
        f"create rule mine as on insert to media_models.int_days_to_rebuild do also select {CALL}",
        "drop rule mine on media_models.int_days_to_rebuild",
    ),
    "the policy mine on media.placements": (
        f"create policy mine on media.placements using ({CALL})",
        "drop policy mine on media.placements",
    ),
    "the policy rows_of_media_reader on media.strategies": (
        f"alter policy rows_of_media_reader on media.strategies using ({CALL})",
        "alter policy rows_of_media_reader on media.strategies using (true)",
    ),
    "row security that binds the owner of media.strategies": (
        "alter table media.strategies force row level security",
        "alter table media.strategies no force row level security",
    ),
    "a default of media_models.name_aliases": (
        f"alter table media_models.name_aliases alter column name set default ({CALL})::text",
        "alter table media_models.name_aliases alter column name drop default",
    ),
    "the constraint mine of media.daily_metrics": (
        f"alter table media.daily_metrics add constraint mine check ({CALL}) not valid",
        "alter table media.daily_metrics drop constraint mine",
    ),
    "the constraint zz of media.campaigns, which uses function media_ops.run_when_free": (
        "alter table media.campaigns add constraint zz check"
        " (media_ops.run_when_free('media.campaigns', 'select 1') is not null) not valid",
        "alter table media.campaigns drop constraint zz",
    ),
    "the trigger touch_updated_at on media_models.name_aliases, which uses function media_ops.run_when": (
        "create trigger touch_updated_at before insert on media_models.name_aliases for each row"
        " when (media_ops.run_when_free('media.campaigns', 'select 1') is not null)"
        " execute function media_ops.touch_updated_at()",
        "drop trigger touch_updated_at on media_models.name_aliases",
    ),
    "a column of media.placements, which uses type pg_temp": (
        "create function pg_temp.f(text) returns boolean language sql as 'select true';"
        "create domain pg_temp.d as text check (pg_temp.f(value));"
        "alter table media.placements add column zz pg_temp.d",
        "alter table media.placements drop column zz",
    ),
    "the constraint zz of media.strategies, which uses operator pg_temp": (
        "create operator pg_temp.=== (function = texteq, leftarg = text, rightarg = text);"
        "alter table media.strategies add constraint zz check (name operator(pg_temp.===) name) not valid",
        "alter table media.strategies drop constraint zz",
    ),
    'the column "a""b" of media.campaigns': (
        'alter table media.campaigns add column "a""b" int',
        'alter table media.campaigns drop column "a""b"',
    ),
    "the child table pg_temp": (
        "create temporary table child () inherits (media.weekly_summaries)",
        "drop table child",
    ),
    "the cast from media_models.mine to uuid": (
        "create type media_models.mine as enum ('x'); create function media_models.f(media_models.mine)"
        " returns uuid language sql return gen_random_uuid();"
        "create cast (media_models.mine as uuid) with function media_models.f(media_models.mine) as implicit",
        "drop type media_models.mine cascade",
    ),
    "the statistics mine of media.campaigns": (
        "create function media_models.f(text) returns text immutable language sql as 'select $1';"
        "create statistics media.mine on (media_models.f(name)) from media.campaigns",
        "drop function media_models.f(text) cascade",
    ),
    "the index media.mine of media.campaigns": (
        "create function media_models.f(text) returns text immutable language sql as 'select $1';"
        "create index mine on media.campaigns (media_models.f(name))",
        "drop function media_models.f(text) cascade",
    ),
    "the type media_models.mine": (
        f"create domain media_models.mine as text check ({CALL})",
        "drop domain media_models.mine",
    ),
    "the operator media_models.===(text,text)": (
        "create operator media_models.=== (function = texteq, leftarg = text, rightarg = text)",
        "drop operator media_models.=== (text, text)",
    ),
}


@pytest.fixture(scope="module")
def relations(agency: Agency) -> str:
    """Returns the relations that the project's models create, as dbt passes them."""
    found = agency.product.query(
        "select relnamespace::regnamespace || '.' || relname as name,"
        " case relkind when 'v' then 'view' else 'table' end as kind"
        " from pg_class where relkind in ('r', 'v') and relowner = 'media_transformer'::regrole"
    )
    return json.dumps({row["name"]: row["kind"] for row in found})


@contextmanager
def planted(agency: Agency, statement: str, undo: str) -> Iterator[None]:
    with agency.connection("building") as building:
        building.execute(b"set role media_transformer")
        building.execute(statement.encode())
        try:
            yield
        finally:
            building.execute(undo.encode())


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_object_is_found(agency: Agency, relations: str, name: str) -> None:
    query = b"select * from media_ops.unexpected_objects(%s)"
    with agency.connection("agency_owner") as owner:
        assert owner.execute(query, [relations]).fetchall() == []
        with planted(agency, *PLANTED[name]):
            found = [text for (text,) in owner.execute(query, [relations]).fetchall()]
        assert any(text.startswith(name) for text in found), found
        assert owner.execute(query, [relations]).fetchall() == []


def test_a_builder_cannot_create_a_foreign_key_to_clients(agency: Agency) -> None:
    """PostgreSQL checks it as the owner of clients, with the implicit cast of the column's type."""
    with agency.connection("building") as building, building.transaction(force_rollback=True):
        building.execute(b"set role media_transformer")
        building.execute(
            b"create type media_models.mine as enum ('x');"
            b"create function media_models.mine(media_models.mine) returns uuid language plpgsql as $$begin"
            b" raise notice '%', current_user; return gen_random_uuid(); end$$;"
            b"create cast (media_models.mine as uuid)"
            b" with function media_models.mine(media_models.mine) as implicit;"
            b"create table media_models.t (id media_models.mine, client_id uuid)"
        )
        for statement in (
            "alter table media_models.t add foreign key (id) references media.clients",
            "alter table media_models.t add foreign key (client_id) references media.clients",
            "create table media_models.u (id uuid references media.clients)",
            "select media_ops.add_client_key('media_models.t', 'id', 'k')",
            "select media_ops.add_client_key('media.users', 'id', 'k')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), building.transaction():
                building.execute(statement.encode())
        building.execute(b"select media_ops.add_client_key('media_models.t', 'client_id', 'k')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), building.transaction():
            building.execute(
                b"alter table media_models.t alter column client_id type media_models.mine using 'x'"
            )


def test_a_column_whose_name_is_sql_is_left_alone(agency: Agency) -> None:
    name = 'x"" is null;create table media_models.seen (who text);--'
    with planted(
        agency,
        f'alter table media.campaigns add column "{name}" int;'
        f"""comment on column media.campaigns."{name}" is 'x '""",
        f'alter table media.campaigns drop column "{name}"',
    ):
        assert agency.dbt("run", "-s", "campaigns").returncode == 0
        assert agency.product.query("select to_regclass('media_models.seen') as seen") == [{"seen": None}]


def test_a_build_with_more_rights_refuses_what_a_builder_planted(agency: Agency) -> None:
    name = "the rule mine on media_models.int_days_to_rebuild"
    with planted(agency, *PLANTED[name]):
        for command in (["build"], ["run", "-s", "campaigns"], ["test", "-s", "campaigns"], ["seed"]):
            done = agency.dbt(*command, login="agency_owner")
            assert done.returncode and f"and {name} was created neither" in done.stdout, done.stdout
        output = agency.product.run("transform", expect={1}).stderr
        assert f"agency_owner may do more than media_transformer, and {name} was created" in output
        assert output.count("\n") == 1
        assert (
            agency.dbt("run", "-s", "campaigns").returncode == 0
        )  # with no more rights, nothing can be gained
    assert agency.dbt("run", "-s", "campaigns", login="agency_owner").returncode == 0


def test_a_command_with_more_rights_reads_no_view_that_it_does_not_create(agency: Agency) -> None:
    for command in (
        ["test", "-s", "an_alias_stands_for_one_name_that_fits"],
        ["run", "-s", "int_days_to_rebuild"],
    ):
        done = agency.dbt(*command, login="agency_owner")
        assert done.returncode and "reads the view media_models." in done.stdout, done.stdout
        assert agency.dbt(*command).returncode == 0


@pytest.fixture
def spied(agency: Agency) -> Iterator[Product]:
    """Yields the commands; every view of dbt records who reads it."""
    with agency.connection("agency_owner") as owner:
        owner.execute("create table public.seen (who text)")
        owner.execute("grant insert on public.seen to public")
        owner.execute("grant usage on schema public to public")
    views = agency.product.query(
        "select relname as name, pg_get_viewdef(oid) as query from pg_class"
        " where relkind = 'v' and relnamespace = 'media_models'::regnamespace"
    )
    with agency.connection("building") as building:
        building.execute(b"set role media_transformer")
        building.execute(SPY.encode())
        building.execute(b"grant usage on schema media_models to public")
        for view in views:
            columns = (
                f"select * from ({view['query'].rstrip().rstrip(';')}) as planted where media_models.spy()"
            )
            building.execute(f"create or replace view media_models.{view['name']} as {columns}".encode())
    yield agency.product
    with agency.connection("agency_owner") as owner:
        owner.execute("drop function media_models.spy() cascade")
        owner.execute("drop table public.seen")
    assert agency.dbt("build").returncode == 0


def test_no_other_command_reads_what_a_builder_can_replace(agency: Agency, spied: Product) -> None:
    for command in ("status", "clients list", "cpm list", "rejects", "migrate", "load", "users list"):
        spied.run(*command.split())
    spied.run("cpm", "set", "Acme", "9", "--from", "2026-01-05")
    spied.run("cpm", "remove", "Acme", "--from", "2026-01-05")
    agency.by("loading").run("status")
    agency.by("loading").run("load")
    assert spied.query("select * from public.seen") == []
    spied.run("transform", expect={1})
    assert spied.query("select * from public.seen") == []
