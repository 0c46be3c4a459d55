"""Each recipe of docs/changing.md works as it is written, and leaving out any of its steps is noticed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import S3
from product import Product, fresh_database, product
from recipes import Copy, files, recipe
from test_releases import EMPTY, differences_after_migration, undeclared
from test_transform import SILENT

from loader.database.connection import connect
from loader.database.migrate import migrate
from loader.database.server import Server

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
COLUMNS = ("Date", "Client", "Campaign", "Creative", "Variant", "Imps", "Views", "Revenue")
MAPPED = {
    "date": "Date",
    "campaign_name": "Campaign",
    "creative_name": "Creative",
    "impressions": "Imps",
    "conversion_revenue": "Revenue",
}
BEFORE = ("2025-03-31,Acme,Spring,Ad,red,1000,10,1", "2025-03-31,Beta,Spring,Ad,red,500,5,1")
AFTER = (
    *("2025-03-31,Acme,Spring,Ad,red,2000,20,2", "2025-03-31,Acme,Spring,Ad,blue,1000,7,1"),
    *("2025-04-01,Acme,Spring,Ad,red,4000,40,-1", "2025-04-01,Acme,Spring,Ad,red,1,1,1"),
)


def content(rows: tuple[str, ...]) -> bytes:
    return "\n".join([",".join(COLUMNS), *rows, ""]).encode()


def feed(**columns: str) -> dict[str, Any]:
    return {
        "t": {
            "location": "s3://drops/t/",
            "client": {"column": "Client"},
            "max_rejected": 0.5,
            "columns": MAPPED | columns,
        }
    }


@pytest.fixture(scope="module")
def history(server: Server, moto_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Gives a product as it is before a recipe: one file loaded and built, and a second one in S3."""
    with pytest.MonkeyPatch.context() as patch:
        (s3,) = S3.named(moto_server, patch)
        with product(server, s3, tmp_path_factory.mktemp("recipes")) as opened:
            opened.feeds(feed())
            for client in ("Acme", "Beta"):
                opened.add_client(client)
                opened.run("cpm", "set", client, "10")
            opened.put("t/1.csv", content(BEFORE), NOON)
            opened.load()
            opened.transform()
            opened.put("t/2.csv", content(AFTER), NOON)
            yield opened


@dataclass(frozen=True)
class Recipe:
    """A recipe of the page, and what is true after it was followed and the files were loaded and built."""

    title: str
    results: Mapping[str, list[tuple[Any, ...]]]
    """By query; all of them as the database's owner."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What the feed maps beside MAPPED."""
    most_files: int = 99
    linted: tuple[str, ...] = ()
    """What mypy has to pass: what is wrong there shows in `make lint`."""
    unit_tested: bool = True
    """Whether dbt's unit tests pass as they are."""
    aliases: tuple[str, ...] = ()
    """Lines of seeds/name_aliases.csv."""
    commands: tuple[list[str], ...] = (["migrate"], ["load"], ["transform"])

    def wrong(
        self, history: Product, server: Server, directory: Path, without: int | None = None
    ) -> list[str]:
        """Follows the recipe on a copy of the project and of the database; returns what is wrong then."""
        copy = Copy.of_checkout(directory / "copy")
        with fresh_database(server, history.database.env["PGDATABASE"]) as database:
            shop = Product(database, history.s3, directory / "feeds.yml", directory)
            shop.feeds(feed(**self.columns))
            with (copy.directory / "seeds/name_aliases.csv").open("a") as seed:
                seed.writelines(f"{line}\n" for line in self.aliases)
            for statement in copy.follow(recipe(self.title), without):
                shop.query(statement)
            done = copy.media(shop.env, *self.commands)
            if done.returncode:
                return [done.stdout[-2000:] + done.stderr]
            schema = copy.directory / "loader/database/schema"
            wrong = [*self._wrong_results(shop), *copy.lint(self.linted), *wrong_schema(server, schema)]
            return wrong + (copy.unit_tests(shop.env) if without is None and self.unit_tested else [])

    def _wrong_results(self, shop: Product) -> Iterator[str]:
        for query, expected in self.results.items():
            try:
                found = [tuple(row.values()) for row in shop.query(query)]
            except psycopg.Error as error:
                yield f"{query}: {error}"
            else:
                if found != expected:
                    yield f"{query}: {found} instead of {expected}"


def wrong_schema(server: Server, schema: Path) -> Iterator[str]:
    """Yields what a changed schema lacks: a declaration, a step for existing databases, a comment."""
    yield from undeclared(schema)
    with fresh_database(server, EMPTY) as database, connect(database, autocommit=True) as new:
        migrate(new, schema)
        yield from map(str, differences_after_migration(server, new, schema))
        yield from (f"{name} has no comment" for (name,) in new.execute(SILENT.encode()).fetchall())


SECURED = (
    "select relrowsecurity, (select count(*)::int from pg_policy where polrelid = pg_class.oid)"
    " from pg_class where oid = '{}'::regclass"
)
RECIPES = (
    Recipe(
        "A metric",
        {
            "select date::text, sum(video_views)::int from media.daily_metrics group by 1 order by 1": [
                ("2025-03-31", 27),
                ("2025-04-01", 41),
            ],
            "select month_start::text, sum(video_views)::int, min(top_campaigns[0]->>'video_views')"
            " from media.monthly_summaries group by 1 order by 1": [
                ("2025-03-01", 27, "0"),
                ("2025-04-01", 41, "41"),
            ],
            "select sum(video_views)::int from media.weekly_summaries": [(68,)],
        },
        {"video_views": "Views"},
        most_files=8,
    ),
    Recipe(
        "A period",
        {
            "select name, quarter_start::text, quarter_end::text, impressions::int, spend::text, ctr::text,"
            " top_creatives[0]->>'name' from media.quarterly_summaries"
            " join media.clients on clients.id = client_id order by 1, 2": [
                ("Acme", "2025-01-01", "2025-03-31", 3000, "30.00", "0.000000", "Ad"),
                ("Acme", "2025-04-01", "2025-06-30", 4001, "40.01", "0.000000", "Ad"),
                ("Beta", "2025-01-01", "2025-03-31", 500, "5.00", "0.000000", "Ad"),
            ],
            SECURED.format("media.quarterly_summaries"): [(True, 3)],
            "select indexname from pg_indexes where indexname like 'idx_quarterly%'": [
                ("idx_quarterly_client_quarter",)
            ],
        },
        most_files=4,
    ),
    Recipe(
        "A rejection reason",
        {
            "select reason, count(*)::int from media_ops.rejected_rows group by 1": [("revenue", 1)],
            "select sum(conversion_revenue)::text from media.daily_metrics": [("5.00",)],
        },
        linted=("loader/files/rows.py",),
    ),
    Recipe(
        "A migration",
        {"select count(*)::int as clients, count(note)::int as notes from media.clients": [(2, 0)]},
        commands=(["migrate"],),
    ),
    Recipe(
        "A mart of your own",
        {
            "select week_start::text, impressions::int, spend::text from media.campaign_weeks"
            " join media.clients on clients.id = client_id order by name, 1": [
                ("2025-03-31", 7001, "70.01"),
                ("2025-03-31", 500, "5.00"),
            ],
            SECURED.format("media.campaign_weeks"): [(True, 3)],
        },
    ),
    Recipe(
        "A level below creative",
        {
            "select clients.name as client, date::text, variants.name, impressions::int"
            " from media.daily_metrics join media.clients on clients.id = daily_metrics.client_id"
            " join media.variants on variants.id = variant_id order by 1, 2, 3": [
                ("Acme", "2025-03-31", "blue", 1000),
                ("Acme", "2025-03-31", "crimson", 2000),
                ("Acme", "2025-04-01", "crimson", 4001),
                ("Beta", "2025-03-31", "(not set)", 500),
            ],
            "select sum(impressions)::int from media.weekly_summaries": [(7501,)],
            SECURED.format("media.variants"): [(True, 3)],
            "select count(*)::int from pg_constraint where confrelid = 'media.variants'::regclass": [(1,)],
        },
        {"variant_name": "Variant"},
        unit_tested=False,  # those of daily_metrics give the names of every level
        aliases=("Acme,variant,red,crimson",),
    ),
)
STEPS = [(one, number) for one in RECIPES for number in range(1, len(recipe(one.title)) + 1)]


@pytest.mark.parametrize("followed", RECIPES, ids=lambda one: one.title)
def test_a_recipe_is_complete(followed: Recipe, history: Product, server: Server, tmp_path: Path) -> None:
    assert followed.wrong(history, server, tmp_path) == []
    assert len(files(recipe(followed.title))) <= followed.most_files


@pytest.mark.parametrize(("followed", "number"), STEPS, ids=lambda one: getattr(one, "title", one))
def test_a_step_that_is_left_out_is_noticed(
    followed: Recipe, number: int, history: Product, server: Server, tmp_path: Path
) -> None:
    assert followed.wrong(history, server, tmp_path, without=number)
