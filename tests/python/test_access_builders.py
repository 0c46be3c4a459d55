"""What a login that may build can plant for others to run: it gains no rights by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

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
    "the check mine of media.daily_metrics": (
        f"alter table media.daily_metrics add constraint mine check ({CALL}) not valid",
        "alter table media.daily_metrics drop constraint mine",
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
