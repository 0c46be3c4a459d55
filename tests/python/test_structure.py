"""The structure of the code: few layers, no upward imports, one owner per name and table."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from loader.project import CHECKOUT

LAYERS = 8
"""The maximum length of a chain of imports within the project."""

ORDER = (
    *("loader", "loader.errors", "loader.names", "loader.project"),
    *("loader.files", "loader.database", "loader.agency", "loader.ingestion", "loader.nightly"),
    *("loader.console", "loader.progress", "loader.demo", "flows", "loader.cli"),
)
"""Packages and top-level modules; each imports only from itself and from those before it."""

COMMANDS = {"demo", "load", "migrate", "nightly", "rejects", "retract", "serve", "status", "transform"}
"""Commands: a function in cli.py has the same name as the function that it calls."""

SHARED: dict[str, str] = {}
"""Other names that several public functions share, and why."""


@cache
def modules() -> dict[str, ast.Module]:
    """Returns the syntax tree of every module in loader/ and flows/, by dotted name."""
    found = {}
    for folder in ("loader", "flows"):
        for file in sorted((CHECKOUT / folder).rglob("*.py")):
            parts = file.relative_to(CHECKOUT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def imports(name: str) -> set[str]:
    """Returns the project's modules that a module imports, also within functions and only for types."""
    found = set()
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{name}: use absolute imports"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else node.module)
    return {one for one in found if one in modules()} - {name}


@cache
def chain(name: str) -> tuple[str, ...]:
    """Returns the longest chain of imports that starts at a module."""
    return (name, *max(map(chain, imports(name)), key=len, default=()))


def place(name: str) -> int:
    """Returns a module's position in ORDER, by the longest entry that contains it."""
    belongs = [one for one in ORDER if name == one or (name.startswith(f"{one}.") and one != "loader")]
    assert belongs, f"{name} is missing from ORDER"
    return ORDER.index(max(belongs, key=len))


def test_there_are_few_layers_and_no_import_cycles() -> None:
    list(TopologicalSorter({name: imports(name) for name in modules()}).static_order())  # CycleError
    longest = max(map(chain, modules()), key=len)
    assert len(longest) <= LAYERS, " → ".join(longest)


def test_nothing_is_imported_from_a_later_package() -> None:
    upwards = [
        f"{name} imports {one}" for name in modules() for one in imports(name) if place(one) > place(name)
    ]
    assert not upwards
    assert {place(name) for name in modules()} == set(range(len(ORDER))), (
        "ORDER contains modules that do not exist"
    )


def test_every_package_has_a_docstring() -> None:
    packages = [
        file.parent for folder in ("loader", "flows") for file in (CHECKOUT / folder).rglob("__init__.py")
    ]
    silent = [
        str(one) for one in packages if not ast.get_docstring(ast.parse((one / "__init__.py").read_text()))
    ]
    assert not silent
    folders = {file.parent for folder in ("loader", "flows") for file in (CHECKOUT / folder).rglob("*.py")}
    assert folders == set(packages)


def test_no_two_public_functions_share_a_name() -> None:
    owners = defaultdict(list)
    for name, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                owners[node.name].append(name)
    shared = {name: where for name, where in owners.items() if len(where) > 1}
    assert set(shared) <= {*COMMANDS, *SHARED}, shared
    assert {name for name, where in shared.items() if "loader.cli" not in where} == set(SHARED)
    assert all(len(shared[name]) == 2 for name in COMMANDS & set(shared)), shared


def sources() -> dict[Path, str]:
    """Returns the text of the Python and SQL files in loader/ and flows/."""
    found = [file for folder in ("loader", "flows") for file in (CHECKOUT / folder).rglob("*")]
    return {
        file.relative_to(CHECKOUT): file.read_text(encoding="utf-8")
        for file in found
        if file.suffix in {".py", ".sql"}
    }


def test_only_ledger_py_writes_ingestion_logs() -> None:
    writing = re.compile(
        r"(insert into|update|delete from|merge into|copy)\s+media\.ingestion_logs", re.IGNORECASE
    )
    writers = [str(file) for file, text in sources().items() if writing.search(text)]
    assert writers == ["loader/ingestion/ledger.py"]
