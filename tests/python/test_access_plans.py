"""What `explain` tells a client's login: nothing about another client's rows, whatever the predicate."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from access import PROTECTED, Agency

pytestmark = pytest.mark.any_postgres

EXPLAIN = "explain (analyze, costs off, timing off, summary off, buffers off) "
BY_PLACE = [f"set enable_{scan} = off" for scan in ("seqscan", "indexscan", "indexonlyscan", "bitmapscan")]
SETTINGS = {
    "no sequential scans": ["set enable_seqscan = off"],
    "by place": [*BY_PLACE, "set cpu_operator_cost = 0", "set jit = off"],
}
COMPARED = """
select attname, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = %s::regclass and attnum > 0 and not attisdropped and atttypid = any(array[
    'int8', 'text', 'varchar', 'date', 'uuid', 'timestamp', 'numeric']::regtype[])
"""


def plan(connection: psycopg.Connection, query: str) -> str:
    """Returns what a query did: its plan without the conditions, which the login typed itself."""
    lines = connection.execute((EXPLAIN + query).encode()).fetchall()
    return "\n".join(line for (line,) in lines if not re.search("Filter: \\(|Cond: \\(", line))


def foreign_row(agency: Agency, table: str) -> dict[str, object]:
    """Returns a row of Globex: its ctid, and the columns whose comparisons may be leakproof, as text.

    Leaves out values that Acme has too: a plan shows what becomes of its own rows.
    """
    with agency.connection("agency_owner") as connection:
        column = "id" if table == "clients" else "client_id"
        columns = connection.execute(COMPARED, [f"media.{table}"]).fetchall()
        selected = ", ".join(f"{name}::text" for name, _ in columns)
        select = f"select ctid::text, {selected} from media.{table}"
        of = f"where {column} = (select id from media.clients where name = %s)"
        found = connection.execute(f"{select} {of} limit 1".encode(), ["Globex"]).fetchone()
        own = connection.execute(f"{select} {of}".encode(), ["Acme"]).fetchall()
    assert found is not None
    names = ["ctid", *(f"{name}::{form}" for name, form in columns)]
    shared = [{row[index] for row in own} for index in range(len(names))]
    row = {
        name: value for name, value, others in zip(names, found, shared, strict=True) if value not in others
    }
    assert len(row) > 2
    return row


def predicates(column: str, constant: str, by_place: bool) -> Iterator[tuple[str, str]]:
    """Yields pairs of predicates: the first is true where the column has this value, the second is not.

    `by_place`: the plan reads the one row only, not the login's own.
    """
    yield f"{column} = {constant}", f"{column} <> {constant}"
    yield f"{column} >= {constant}", f"{column} < {constant}"
    yield f"{column} = any (array[{constant}])", f"{column} <> all (array[{constant}])"
    true, false = f"{column} = {constant}", f"{column} <> {constant}"
    yield f"case when {true} then true end", f"case when {false} then true end"
    if by_place:
        probe = f"{column} <> (select {constant})"  # an InitPlan that runs only if the row gets that far
        yield f"{true} and {probe}", f"{false} and {probe}"


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("table", sorted(set(PROTECTED) - {"users"}))
def test_no_predicate_tells_what_is_in_another_clients_row(agency: Agency, table: str, settings: str) -> None:
    row = foreign_row(agency, table)
    place = row.pop("ctid")
    with agency.connection("acme_bi") as connection:
        for setting in SETTINGS[settings]:
            connection.execute(setting.encode())
        for described, value in row.items():
            if value is None:
                continue
            column, form = described.split("::")
            for true, false in predicates(column, f"'{value}'::{form}", "by place" in settings):
                select = f"select 1 from media.{table} where ctid = '{place}' and "
                shown, other = plan(connection, select + true), plan(connection, select + false)
                assert shown == other, true


@pytest.mark.parametrize("column", ["name", "lower(name)", 'name collate "C"'])
def test_no_index_tells_the_names_of_other_clients(agency: Agency, column: str) -> None:
    """G is for Globex, I for Initech; nobody's name begins with Z."""
    with agency.connection("acme_bi") as connection:
        connection.execute("set enable_seqscan = off")
        connection.execute("set enable_sort = off")  # an index on names comes in their order
        shown = {
            letter: plan(
                connection,
                f"select 1 from media.clients where {column} >= '{letter}' and {column} < '{letter}zz'"
                f" or {column} >= '{letter.lower()}' and {column} < '{letter.lower()}zz' order by name",
            )
            for letter in "GIZ"
        }
        assert shown["G"] == shown["I"] == shown["Z"]
        one = f"select 1 from media.clients where {column} >= '%s' and {column} < '%s' order by name"
        assert plan(connection, one % ("G", "H")) == plan(connection, one % ("Z", "ZZ"))
        assert plan(connection, one % ("g", "h")) == plan(connection, one % ("z", "zz"))


def test_nobody_can_compute_the_id_of_a_name(agency: Agency) -> None:
    """The id holds a secret that dbt's role alone reads."""
    with agency.connection("agency_owner") as connection:
        found = connection.execute(
            "select count(*) from media.campaigns"
            " where id = md5(json_build_array('campaign', client_id, name)::text)::uuid"
        ).fetchone()
        assert found == (0,)
    for login in ("acme_bi", "agency_bi", "loading", "portal"):
        with agency.connection(login) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select * from media_ops.id_secret")
