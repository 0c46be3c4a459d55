"""README.md and docs are true to the letter: commands exist, the list of them is the code's, links hold."""

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
SPOKEN = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]


def help_lines(command: Any, path: str = "media") -> list[str]:
    """Gives what the list says of a command: how it is typed, and the first line of its help."""
    if hasattr(command, "commands"):
        groups = [help_lines(child, f"{path} {name}") for name, child in command.commands.items()]
        own = [[f"{path} {option.opts[0]}", f"    {option.help}"] for option in command.params]
        return [line for group in own + groups for line in group]
    return [" ".join([path, *map(typed, command.params)]), f"    {command.help.splitlines()[0]}"]


def typed(parameter: Any) -> str:
    """Gives an argument or option as the list writes it."""
    if parameter.param_type_name == "argument":
        name = parameter.name.upper()
        return name if parameter.required else f"[{name}]"
    option = next(name for name in parameter.opts if name.startswith("--"))
    return f"[{option}]" if parameter.is_flag else f"[{option} {parameter.metavar or parameter.name.upper()}]"


def test_the_list_of_commands_is_that_of_the_code() -> None:
    expected = "\n".join(help_lines(typer.main.get_command(cli.app)))
    assert f"```text\n{expected}\n```" in COMMANDS, expected


@pytest.mark.parametrize("line", [line for line in SPOKEN if line.startswith("media ")])
def test_a_command_of_the_pages_is_one_of_ours(line: str) -> None:
    words = [word for word in line.split() if word.startswith("--")]
    path = [word for word in line.split()[1:3] if re.fullmatch("[a-z]+", word)]
    for depth in (path, path[:1]):
        told = CliRunner().invoke(cli.app, [*depth, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        if told.exit_code == 0:
            assert all(word in told.output for word in words), (line, told.output)
            return
    raise AssertionError(f"there is no command {line}")


@pytest.mark.parametrize("target", sorted({line.split()[1] for line in SPOKEN if line.startswith("make ")}))
def test_a_target_of_make_exists_and_is_explained(target: str) -> None:
    told = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    assert f"make {target} " in told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`((?:loader|models|macros|seeds|tests|flows|docs)/[^`*… ]*)`", text):
        assert (CHECKOUT / path).exists(), path
