"""The project can only be installed from its checkout, which contains the dbt project and the SQL."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loader.project import CHECKOUT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copyfile(CHECKOUT / name, copy / name)
    for folder in ("loader", "flows"):
        shutil.copytree(CHECKOUT / folder, copy / folder)
    return copy


def pip(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_building_a_wheel_is_refused_with_one_sentence(checkout: Path, tmp_path: Path) -> None:
    done = pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path / "wheels", checkout)
    output = done.stdout + done.stderr
    assert done.returncode != 0 and not list(tmp_path.glob("wheels/*.whl"))
    assert "works from its checkout only: run `make install`" in output and "Traceback" not in output, output


def test_an_editable_installation_works(checkout: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    done = pip(
        *("install", "--no-build-isolation", "--no-deps", "--no-index", "--target", target, "-e", checkout)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (target / "bin" / "media").exists()
