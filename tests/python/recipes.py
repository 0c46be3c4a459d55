"""Follows the recipes of docs/changing.md, step by step, on a copy of the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forked import ForkedProcess

from loader.project import CHECKOUT

PAGE = CHECKOUT / "docs" / "changing.md"
LINES = re.DOTALL | re.MULTILINE
FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w+)(?: (?P<path>\S+))?\n(?P<text>.*?)^ *```$", LINES)
PARTS = (
    "dbt_project.yml",
    "feeds.yml",
    "profiles.example.yml",
    "pyproject.toml",
    "loader",
    "flows",
    "models",
    "macros",
    "seeds",
    "tests/dbt",
)


@dataclass(frozen=True)
class Block:
    """A fenced block: a diff of a file, a new file, a shell command or a statement for the database."""

    kind: str
    path: str | None
    text: str

    def apply(self, project: Path) -> Iterator[str]:
        """Changes the project; yields the statements to run on the database."""
        if self.kind == "diff":
            file = project / str(self.path)
            file.write_text(self._patched(file.read_text(encoding="utf-8")), encoding="utf-8")
        elif self.path is not None:
            (project / self.path).write_text(self.text, encoding="utf-8")
        elif self.kind == "sh":
            subprocess.run(["sh", "-euc", self.text], cwd=project, check=True)
        else:
            yield self.text

    def _patched(self, content: str) -> str:
        for hunk in self.text.split("@@\n"):
            lines = [line or " " for line in hunk.splitlines()]
            before, after = (
                "".join(f"{line[1:]}\n" for line in lines if line[0] in kept) for kept in (" -", " +")
            )
            assert content.count(before) == 1, f"{self.path} must contain this exactly once:\n{before}"
            content = content.replace(before, after)
        return content


Step = tuple[Block, ...]
PARSED = Path("target/partial_parse.msgpack")


def recipe(title: str) -> list[Step]:
    """Returns the numbered steps of a section of docs/changing.md."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), LINES)
    parts = re.split(r"^(\d+)\. ", section, flags=re.MULTILINE)[1:]
    assert parts[::2] == [str(number) for number in range(1, len(parts) // 2 + 1)], (
        "the steps must be numbered 1, 2, 3 …"
    )
    return [tuple(map(_block, FENCE.finditer(part))) for part in parts[1::2]]


def _block(found: re.Match[str]) -> Block:
    text = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
    return Block(found["kind"], found["path"], text)


def files(steps: Sequence[Step]) -> set[str]:
    """Returns the files that the steps change or create."""
    blocks = [block for step in steps for block in step]
    created = [
        match for block in blocks if block.kind == "sh" for match in re.findall(r"> (\S+)", block.text)
    ]
    return {block.path for block in blocks if block.path is not None} | set(created)


@dataclass(frozen=True)
class Copy:
    """A copy of the project in which to follow recipes and run commands."""

    directory: Path

    @classmethod
    def of_checkout(cls, directory: Path) -> Copy:
        """Copies the parts of the checkout that the commands need."""
        for part in PARTS:
            source, target = CHECKOUT / part, directory / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, target)
        shutil.copyfile(directory / "profiles.example.yml", directory / "profiles.yml")
        return cls(directory)

    def follow(self, steps: Sequence[Step], without: int | None = None) -> list[str]:
        """Follows the steps, `without` one of them; returns the statements for the database."""
        kept = [step for number, step in enumerate(steps, 1) if number != without]
        return [text for step in kept for block in step for text in block.apply(self.directory)]

    def media(self, env: Mapping[str, str], *commands: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs the copy's commands one after the other in one process, until one fails."""
        return self._run("media", env, *commands)

    def unit_tests(self, env: Mapping[str, str]) -> list[str]:
        """Runs the copy's dbt unit tests; returns their output if they fail."""
        arguments = ["--quiet", "test", "--select", "test_type:unit", "--profiles-dir", "."]
        done = self._run("dbt", env, arguments)
        return [done.stdout] if done.returncode else []

    def _run(
        self, program: str, env: Mapping[str, str], *commands: Sequence[str]
    ) -> subprocess.CompletedProcess[str]:
        own = {"DBT_PROJECT_DIR": str(self.directory), "DBT_TARGET_PATH": "target"}
        process = ForkedProcess(program, *commands, env={**env, **own}, directory=self.directory)
        out, err = process.communicate(300)
        return subprocess.CompletedProcess(str(commands), process.returncode or 0, out, err)

    def parse(self, env: Mapping[str, str]) -> Path:
        """Parses the dbt project; returns the file of what dbt has parsed."""
        done = self._run("dbt", env, ["--quiet", "parse", "--profiles-dir", "."])
        assert not done.returncode, done.stdout
        return self.directory / PARSED

    def lint(self, paths: Sequence[str]) -> list[str]:
        """Runs mypy on some of the copy's files; returns its errors."""
        if not paths:
            return []
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--cache-dir", str(CHECKOUT / ".mypy_cache"), *paths],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.splitlines() if done.returncode else []
