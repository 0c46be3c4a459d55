"""Each recipe in docs/changing.md works as written, and leaving out any of its steps fails a check."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import S3
from product import Product, fresh_database, fresh_product
from recipes import PARSED, Copy, files, recipe
from test_releases import EMPTY, differences_after_migration, undeclared
from test_transform import UNCOMMENTED

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
VIDEO = "Datum;Kampagne;Impressionen;Umsatz\n01.04.2025;Frühling 25;1.234;12,50\n31.03.2025;Sommer;6;0\n"


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
def built_product(
    server: Server, moto_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    """Yields a product before a recipe: one file is loaded and built, a second one is in S3."""
    with pytest.MonkeyPatch.context() as patch:
        (s3,) = S3.empty(moto_server, patch)
        with fresh_product(server, s3, tmp_path_factory.mktemp("recipes")) as opened:
            opened.feeds(feed())
            for client in ("Acme", "Beta"):
                opened.add_client(client)
                opened.run("cpm", "set", client, "10")
            opened.put("t/1.csv", content(BEFORE), NOON)
            opened.load()
            opened.transform()
            opened.put("t/2.csv", content(AFTER), NOON)
            opened.put("video/Acme_20250401.csv", VIDEO.encode("cp1252"), NOON)
            yield opened


SCHEMA = "loader/database/schema"
_parsed: dict[str, Path] = {}


def parsed_checkout(product: Product, directory: Path) -> Path:
    """Returns what dbt has parsed for this database before a recipe, so that it parses only what changes."""
    name = product.database.env["PGDATABASE"]
    if name not in _parsed:
        _parsed[name] = Copy.of_checkout(directory / name).parse(product.env)
    return _parsed[name]


@dataclass(frozen=True)
class Recipe:
    """A recipe, and what must be true once it was applied and the files were loaded and built."""

    title: str
    results: Mapping[str, list[tuple[Any, ...]]]
    """The expected rows by query; the queries run as the database's owner."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """The columns that the feed maps in addition to MAPPED."""
    most_files: int = 99
    linted: tuple[str, ...] = ()
    """The files that mypy must pass, as in `make lint`."""
    unit_tested: bool = True
    """Whether dbt's unit tests must pass unchanged."""
    aliases: tuple[str, ...] = ()
    """Lines of seeds/name_aliases.csv."""
    own_feeds: bool = False
    """Whether the commands read the feeds.yml of the copy."""
    commands: tuple[list[str], ...] = (["migrate"], ["load"], ["transform"])

    def problems(
        self, built_product: Product, server: Server, directory: Path, without: int | None = None
    ) -> list[str]:
        """Follows the recipe on a copy of the project and of the database; returns the problems found."""
        copy = Copy.of_checkout(directory / "copy")
        with fresh_database(server, built_product.database.env["PGDATABASE"]) as database:
            product = Product(database, built_product.s3, directory / "feeds.yml", directory)
            product.feeds(feed(**self.columns))
            with (copy.directory / "seeds/name_aliases.csv").open("a") as seed:
                seed.writelines(f"{line}\n" for line in self.aliases)
            parsed = parsed_checkout(product, built_product.feeds_file.parent)
            (copy.directory / PARSED).parent.mkdir()
            shutil.copyfile(parsed, copy.directory / PARSED)
            for statement in copy.follow(recipe(self.title), without):
                product.query(statement)
            feeds = {"MEDIA_FEEDS": str(copy.directory / "feeds.yml")} if self.own_feeds else {}
            done = copy.media(product.env | feeds, *self.commands)
            if done.returncode:
                return [done.stdout[-2000:] + done.stderr]
            found = [*self._wrong_results(product), *copy.lint(self.linted)]
            if any(file.startswith(SCHEMA) for file in files(recipe(self.title))):
                found += schema_problems(server, copy.directory / SCHEMA)
            return found + (copy.unit_tests(product.env) if without is None and self.unit_tested else [])

    def _wrong_results(self, product: Product) -> Iterator[str]:
        for query, expected in self.results.items():
            try:
                found = [tuple(row.values()) for row in product.query(query)]
            except psycopg.Error as error:
                yield f"{query}: {error}"
            else:
                if found != expected:
                    yield f"{query}: {found} instead of {expected}"


def schema_problems(server: Server, schema: Path) -> Iterator[str]:
    """Yields what a changed schema lacks: a declaration, a step for existing databases, a comment."""
    yield from undeclared(schema)
    with fresh_database(server, EMPTY) as database, connect(database, autocommit=True) as new:
        migrate(new, schema)
        yield from map(str, differences_after_migration(server, new, schema))
        yield from (f"{name} has no comment" for (name,) in new.execute(UNCOMMENTED.encode()).fetchall())


SECURED = (
    "select relrowsecurity, (select count(*)::int from pg_policy where polrelid = pg_class.oid)"
    " from pg_class where oid = '{}'::regclass"
)
RECIPES = (
    Recipe(
        "A feed",
        {
            "select campaigns.name, date::text, impressions::int, conversion_revenue::text, spend::text"
            " from media.daily_metrics join media.campaigns on campaigns.id = campaign_id"
            " where (campaigns.name, date) in (('Spring', '2025-04-01'), ('Sommer', '2025-03-31'))"
            " order by 1": [
                ("Sommer", "2025-03-31", 6, "0.00", "0.06"),
                ("Spring", "2025-04-01", 1234, "12.50", "12.34"),
            ],
        },
        own_feeds=True,
        unit_tested=False,  # no model changes
        commands=(["load", "--feed", "video_network"], ["transform"]),
    ),
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
        unit_tested=False,  # the unit tests of daily_metrics list the names of every level
        aliases=("Acme,variant,red,crimson",),
    ),
)
STEPS = [(one, number) for one in RECIPES for number in range(1, len(recipe(one.title)) + 1)]


@pytest.mark.parametrize("case", RECIPES, ids=lambda one: one.title)
def test_a_recipe_is_complete(case: Recipe, built_product: Product, server: Server, tmp_path: Path) -> None:
    assert case.problems(built_product, server, tmp_path) == []
    assert len(files(recipe(case.title))) <= case.most_files


@pytest.mark.parametrize(("case", "number"), STEPS, ids=lambda one: getattr(one, "title", one))
def test_leaving_out_a_step_fails_a_check(
    case: Recipe, number: int, built_product: Product, server: Server, tmp_path: Path
) -> None:
    assert case.problems(built_product, server, tmp_path, without=number)
