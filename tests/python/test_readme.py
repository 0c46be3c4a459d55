"""README.md and docs/ match the code: commands exist, the list of commands is complete, links work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from loader import cli
from loader.project import CHECKOUT

COMMANDS = (CHECKOUT / "docs" / "commands.md").read_text(encoding="utf-8")
PAGES = [CHECKOUT / "README.md", CHECKOUT / "DECISIONS.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
TEXTS = [page.read_text(encoding="utf-8") for page in PAGES]
BLOCKS = [block for text in TEXTS for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
COMMAND_LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]


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
    assert f"```text\n{expected}\n```" in COMMANDS, expected


@pytest.mark.parametrize("line", [line for line in COMMAND_LINES if line.startswith("media ")])
def test_a_command_in_the_docs_exists(line: str) -> None:
    words = [word for word in line.split() if word.startswith("--")]
    path = [word for word in line.split()[1:3] if re.fullmatch("[a-z]+", word)]
    for depth in (path, path[:1]):
        result = CliRunner().invoke(cli.app, [*depth, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        if result.exit_code == 0:
            assert all(word in result.output for word in words), (line, result.output)
            return
    raise AssertionError(f"no such command: {line}")


@pytest.mark.parametrize(
    "target", sorted({line.split()[1] for line in COMMAND_LINES if line.startswith("make ")})
)
def test_a_make_target_in_the_docs_exists_and_has_a_description(target: str) -> None:
    output = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert f"make {target} " in output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_in_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:loader|models|macros|seeds|tests|flows|docs)/[^`*… ]*)`", text):
        assert (CHECKOUT / path).exists(), path
