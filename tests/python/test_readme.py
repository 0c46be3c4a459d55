"""README.md, docs/ and the other pages agree with the code: commands, options, links and paths exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from dbt.cli.main import cli as dbt

from loader import cli
from loader.project import CHECKOUT

README, DECISIONS = CHECKOUT / "README.md", CHECKOUT / "DECISIONS.md"
DOCS = sorted((CHECKOUT / "docs").glob("*.md"))
PAGES = [README, DECISIONS, CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "CHANGELOG.md", *DOCS]
PAGES += [CHECKOUT / "models" / "overview.md"]
FENCE = re.compile(r"^ *```(\w+)[^\n]*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
PROGRAMS = ("media", "make", "dbt")
HELP = ("-h", "--help")
FOLDERS = ("bi", "docs", "flows", "loader", "macros", "models", "seeds", "tests")
CREATED_FILES = {"profiles.yml", "roles.sql"}
"""Files that the pages name and that commands create."""


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Returns a page without its fenced blocks."""
    return FENCE.sub("", text_of(page))


def help_lines(command: Any, path: str = "media") -> list[str]:
    """Returns a command's lines in docs/commands.md: how to type it, and the first line of its help."""
    if hasattr(command, "commands"):
        groups = [help_lines(child, f"{path} {name}") for name, child in command.commands.items()]
        own = [[f"{path} {option.opts[0]}", f"    {option.help}"] for option in command.params]
        return [line for group in own + groups for line in group]
    return [" ".join([path, *map(typed, command.params)]), f"    {command.help.splitlines()[0]}"]


def typed(parameter: Any) -> str:
    """Returns an argument or option as docs/commands.md shows it."""
    if parameter.param_type_name == "argument":
        name = parameter.name.upper()
        return name if parameter.required else f"[{name}]"
    option = next(name for name in parameter.opts if name.startswith("--"))
    return f"[{option}]" if parameter.is_flag else f"[{option} {parameter.metavar or parameter.name.upper()}]"


def test_docs_commands_md_lists_every_command() -> None:
    expected = "\n".join(help_lines(typer.main.get_command(cli.app)))
    assert f"```text\n{expected}\n```" in text_of(CHECKOUT / "docs" / "commands.md"), expected


def commands_of(page: Path) -> Iterator[tuple[list[str], bool]]:
    """Yields the words of each command in a page, and whether it is complete (a line of a block)."""
    for kind, block in FENCE.findall(text_of(page)):
        lines = block.replace("\\\n", " ").splitlines() if kind in ("sh", "console") else []
        for line in lines:
            if kind == "sh" or line.startswith("$ "):
                yield shlex.split(line.removeprefix("$ "), comments=True), True
    for code in re.findall(r"`([^`]+)`", prose_of(page)):
        if re.match(rf"({'|'.join(PROGRAMS)}|\.venv/bin/\S+)\s+\S", code):
            yield shlex.split(code), False


def command_problems(words: list[str], complete: bool) -> Iterator[str]:
    """Yields the parts of a command that do not exist."""
    program, *rest = [word for word in words if word not in ("…", "&&")]
    if program.startswith(".venv/bin/"):
        program = program.removeprefix(".venv/bin/")
        if not Path(sys.executable).with_name(program).exists():
            yield f"{program} is not installed"
    if program == "media":
        yield from argument_problems(typer.main.get_command(cli.app), rest, complete)
    elif program == "dbt":
        yield from argument_problems(dbt, rest, False)
    elif program == "make":
        yield from make_problems(rest)
    elif program == "pytest":
        paths = [word for word in rest if word.startswith("tests/")]
        yield from (f"{path} does not exist" for path in paths if not any(CHECKOUT.glob(path)))


def argument_problems(command: Any, words: list[str], complete: bool) -> Iterator[str]:
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            yield f"no such command: {name}"
            return
        command = command.commands[name]
    if command.context_settings.get("ignore_unknown_options"):
        return
    options = {name: one for one in command.params for name in [*one.opts, *one.secondary_opts]}
    given = iter(words)
    positional = 0
    for word in given:
        if not word.startswith("-"):
            positional += 1
        elif word not in options and word not in HELP:
            yield f"{command.name} has no option {word}"
        elif word in options and not options[word].is_flag:
            next(given, None)
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    required = sum(one.required for one in arguments)
    if complete and not required <= positional <= len(arguments):
        yield f"{command.name} takes {len(arguments)} arguments, not {positional}"


def make_problems(words: list[str]) -> Iterator[str]:
    output = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for word in words:
        name, is_setting, value = word.partition("=")
        if is_setting:
            if f"$({name})" not in text_of(CHECKOUT / "Makefile"):
                yield f"the Makefile has no {name}"
            file = CHECKOUT / ("tests/bench/__main__.py" if "bench" in words else "tests/soak.py")
            options = [option for option in shlex.split(value) if option.startswith("--")]
            yield from (f"no option {option}" for option in options if f'"{option}"' not in text_of(file))
        elif f"make {name} " not in output:
            yield f"no such target: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_page_exists(page: Path) -> None:
    wrong = [
        f"{shlex.join(words)}: {problem}"
        for words, complete in commands_of(page)
        if words
        for problem in command_problems(words, complete)
    ]
    assert not wrong


def anchors_of(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_in_a_page_works(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\((?!http)([^)\s]+)\)", prose_of(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            wrong.append(link)
    assert not wrong


@cache
def file_names() -> frozenset[str]:
    found = {path.name for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*")}
    return frozenset(found | {path.name for path in CHECKOUT.iterdir()} | CREATED_FILES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_in_a_page_exists(page: Path) -> None:
    named = re.findall(r"`([\w.*/-]+)`", prose_of(page))
    within = [path for path in named if path.split("/")[0] in FOLDERS and "/" in path]
    files = [name for name in named if re.fullmatch(r"[\w-]+\.(py|sql|yml|yaml|md|csv|toml|txt)", name)]
    if page.name == "feeds.md":  # its CSV files are partners'
        files = [name for name in files if not name.endswith(".csv")]
    wrong = [path for path in within if not any(CHECKOUT.glob(path))]
    assert not wrong + [name for name in files if name not in file_names()]


def test_the_readme_links_to_every_page() -> None:
    pages = [page.relative_to(CHECKOUT) for page in PAGES if page != README and page.parent.name != "models"]
    assert not [f"{page}" for page in pages if f"]({page})" not in text_of(README)]


def test_the_readme_and_the_decisions_stay_short() -> None:
    assert len(text_of(README).splitlines()) <= 90
    assert len(text_of(DECISIONS).split()) < 900


def test_no_page_mentions_a_document_outside_the_project() -> None:
    assert not [page.name for page in PAGES if re.search("specification", text_of(page), re.IGNORECASE)]
