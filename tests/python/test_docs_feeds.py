"""docs/feeds.md is true: its timelines are played, and its refusals read, on the product."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import S3
from moto.s3.models import s3_backends
from product import Product, fresh_product

from loader.database.server import Server
from loader.errors import FeedsError
from loader.files.feeds import read_feeds
from loader.project import CHECKOUT

PAGE = (CHECKOUT / "docs" / "feeds.md").read_text(encoding="utf-8")
YEAR = 2026
BLOCK = re.compile(r"^```(\w+) ?([^\n]*)\n(.*?)^```$|^\|([^\n]*)\|$|^##", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"(?:(Beta) )?(?:(\d+ [A-Z][a-z]+)|`([\d/]+)`) ([\d,]+)( without names)?")
FIGURES = """
select strategies.name as timeline, clients.name as client, date, sum(impressions) as impressions
from media.daily_metrics
join media.strategies on strategies.id = strategy_id
join media.clients on clients.id = daily_metrics.client_id
group by 1, 2, 3
"""
LATEST_RUN = """
select id from media.ingestion_logs
where object_uri = %s and status = 'success' and same_content_as is null order by run_number desc limit 1
"""
Figures = dict[tuple[str, str], int]
"""Impressions by client and day."""


@dataclass
class Timeline:
    """One column of a timeline: a feed, and what its figures are after each step."""

    id: str
    settings: dict[str, Any]
    suffix: str
    """Is appended to the folder of each location, because the columns of a table play the same files."""
    without: str | None
    """A setting that this column leaves out."""
    steps: list[tuple[str, str, str]]
    """When, what happens, and what counts afterwards."""
    messages: str = ""
    """What the page says that the commands print."""
    printed: list[str] = field(default_factory=list)

    def set(self, settings: dict[str, Any]) -> None:
        """Changes settings in feeds.yml."""
        moved = {name: value for name, value in settings.items() if name != self.without}
        for name in {"location", "moved_from"} & moved.keys():
            moved[name] = re.sub(r"/$", f"{self.suffix}/", moved[name])
        self.settings |= moved

    def as_in_page(self, line: str) -> str:
        """Returns a line that was printed, with the locations of the page."""
        return re.sub(rf"(s3://[^ ]*?){self.suffix}/", r"\1/", line) if self.suffix else line


def rows_of(text: str) -> Iterator[tuple[str, str, int, bool]]:
    """Yields client, date as written in a file, impressions and whether it has names of each row."""
    for one in [] if text in ("only a header", "nothing") else text.split(" · "):
        found = ROW.fullmatch(one)
        assert found, one
        client, day, cell, impressions, without_names = found.groups()
        cell = cell or f"{datetime.strptime(f'{day} {YEAR}', '%d %b %Y').date()}"
        yield client or "Acme", cell, int(impressions.replace(",", "")), not without_names


def timelines() -> list[Timeline]:
    """Returns the columns of all timelines in the page: a YAML block, a table, and the messages after it."""
    found: list[Timeline] = []
    current: list[Timeline] = []
    settings: dict[str, dict[str, Any]] = {}
    for kind, info, block, cells in BLOCK.findall(PAGE):
        columns = [cell.strip() for cell in cells.split("|")]
        if kind == "yaml" or not (kind or cells):  # a heading ends a timeline
            settings, current = yaml.safe_load(block) if kind else {}, []
        elif kind == "text":
            (one,) = [each for each in current if info in ("", each.id.partition(" with ")[2])]
            one.messages += re.sub("\n  +", " ", block)
        elif columns[0] == "last modified":
            ((name, chosen),) = settings.items()
            for number, column in enumerate(columns[2:]):
                words = column.replace("`", "").removeprefix("counts").strip()  # "with covers: span"
                option = yaml.safe_load(words.removeprefix("with ")) if ":" in words else {}
                without = words.removeprefix("without ") if words.startswith("without") else None
                one = Timeline(f"{name} {words}".strip(), {}, f"-{number}" if number else "", without, [])
                one.set(chosen | option)
                current.append(one)
            found += current
        elif current and not cells.startswith("---"):
            assert len(columns) == 2 + len(current), cells
            for one, counts in zip(current, columns[2:], strict=True):
                one.steps.append((columns[0], columns[1], counts))
    return found


class Player:
    """Plays the steps of the timelines."""

    def __init__(self, product: Product, played: list[Timeline]) -> None:
        self.product, self.played = product, played

    def write_feeds(self) -> None:
        feeds = {}
        for one in self.played:
            columns: dict[str, Any] = {"date": "Day", "campaign_name": "Campaign", "impressions": "Imps"}
            columns["strategy_name"] = {"constant": one.id}
            feeds[one.id] = {"client": {"column": "Client"}, "columns": columns} | one.settings
        self.product.feeds(feeds)

    def play(self, step: int) -> None:
        """Does what happens in one step of all timelines."""
        commands: list[tuple[Timeline, str]] = []
        for one in self.played:
            if step >= len(one.steps):
                continue
            when, what, _ = one.steps[step]
            times = iter(when.split("<br>"))
            for action in re.sub(r" \([^)]*\)(?=<br>|$)", "", what).split("<br>"):
                if setting := re.fullmatch(r"`feeds\.yml`: `(.+)`", action):
                    one.set(yaml.safe_load(setting[1]))
                elif action.startswith("`media "):
                    commands.append((one, action))
                else:
                    key, rows = re.fullmatch("`([^`]+)`: (.+)", action).groups()  # type: ignore[union-attr]
                    when = next(times, when)
                    self.put(one, key, rows, when)
        self.write_feeds()
        self.run("load")
        for one, command in commands:
            self.command(one, command)
        self.collect(self.product.run("status").stdout)
        self.product.transform()

    def put(self, one: Timeline, key: str, rows: str, when: str) -> None:
        lines = ["Day,Client,Campaign,Imps"]
        for number, (client, day, impressions, named) in enumerate(rows_of(rows)):
            lines.append(f"{day},{client},{f'Campaign {number}' if named else ''},{impressions}")
        bucket, _, folder = one.settings["location"].removeprefix("s3://").partition("/")
        self.product.s3.put(folder + key, "\n".join(lines) + "\n", bucket)
        (backend,) = s3_backends.values()
        obj = backend["aws"].buckets[bucket].keys[folder + key]
        obj.last_modified = datetime.strptime(f"{YEAR} {when}", "%Y %d %b %H:%M")

    def command(self, one: Timeline, action: str) -> None:
        if found := re.fullmatch(r"`media retract` the latest run of `(.+)`", action):
            (run,) = self.product.query(LATEST_RUN, one.settings["location"] + found[1])
            self.product.retract(run["id"])
            return
        words = action.strip("`").split()[1:]
        assert words[0] == "load", action
        folder = one.settings["location"].removeprefix("s3://").partition("/")[2]
        files = [re.sub(r"^[^/]+/", folder, word) if "/" in word else word for word in words]
        self.run(*files, "--feed", one.id)

    def run(self, *arguments: str) -> None:
        done = self.product.run(*arguments, expect={0, 1})
        self.collect(done.stdout + done.stderr)

    def collect(self, output: str) -> None:
        """Assigns the warnings and failures in an output to their timelines."""
        for line in output.splitlines():
            if line.startswith(("warning: ", "s3://")):
                (one,) = [each for each in self.played if each.settings["location"] in line]
                if (shown := one.as_in_page(line)) not in one.printed:
                    one.printed.append(shown)

    def figures(self) -> dict[str, Figures]:
        found: dict[str, Figures] = {one.id: {} for one in self.played}
        for row in self.product.query(FIGURES):
            found[row["timeline"]][row["client"], f"{row['date']}"] = row["impressions"]
        return found


@pytest.fixture
def product(server: Server, s3: S3, tmp_path: Path) -> Iterator[Product]:
    with fresh_product(server, s3, tmp_path) as opened:
        s3.bucket("old-drops")
        s3.client.put_bucket_versioning(
            Bucket=s3.bucket("versioned-drops"), VersioningConfiguration={"Status": "Enabled"}
        )
        opened.add_client("Acme")
        opened.add_client("Beta")
        yield opened


def test_every_timeline_has_the_figures_and_messages_of_the_page(product: Product) -> None:
    player = Player(product, timelines())
    wrong = []
    for step in range(max(len(one.steps) for one in player.played)):
        player.play(step)
        figures = player.figures()
        for one in player.played:
            text = one.steps[min(step, len(one.steps) - 1)][2]
            expected = {(client, day): impressions for client, day, impressions, _ in rows_of(text)}
            if figures[one.id] != expected:
                wrong.append(f"{one.id}, step {step + 1}: {text}, but the figures are {figures[one.id]}")
    for one in player.played:
        if one.messages.splitlines() != one.printed:
            printed = "\n".join(one.printed)
            wrong.append(f"{one.id} prints\n{printed}\nbut the page says\n{one.messages}")
    assert not wrong, "\n".join(wrong)
    assert {"moved", "hourly", "spark", "window", "latest", "swapped"} <= {
        one.id.split()[0] for one in player.played
    }


def refusals() -> list[tuple[dict[str, Any], str]]:
    """Returns the feeds of each line of the table of refusals, and the message."""
    table = PAGE.rpartition("| in feeds.yml | message |\n|---|---|\n")[2].partition("\n\n")[0]
    found = []
    for line in table.splitlines():
        settings, message = line.strip("| ").split(" | ")
        message = message.strip("`")
        given: dict[str, Any] = {}
        for each in re.findall("`([^`]+: [^`]+)`", settings):
            given |= yaml.safe_load(each)
        found.append((given if "a" in given else {"f": given}, message))
    return found


@pytest.mark.parametrize(("given", "message"), refusals())
def test_feeds_yml_refuses_what_the_page_says(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "feeds.yml"
    complete: dict[str, Any] = {"location": "s3://drops/f/", "client": {"name": "Acme"}}
    complete |= {"columns": {"date": "Day", "impressions": "Imps"}}
    feeds = {name: complete | settings for name, settings in given.items()}
    path.write_text(yaml.safe_dump({"feeds": feeds}), encoding="utf-8")
    with pytest.raises(FeedsError) as error:
        read_feeds(path)
    assert str(error.value) == f"{path}: feed {list(given)[-1]}: {message}"
