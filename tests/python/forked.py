"""Runs commands in processes that are forked from one which has imported what they need.

Importing dbt and the AWS SDK takes two seconds of processor time; the tests start a hundred commands.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

THIRD_PARTY = (
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "boto3",
    "psycopg",
    "typer",
    "pydantic",
    "rich",
    "argon2",
)
OURS = ("loader.cli", "loader.nightly.transform")
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*THIRD_PARTY, *OURS])


def media(commands: Sequence[Sequence[str]]) -> None:
    """Runs commands of `media`, one after the other, until one fails."""
    from loader import cli

    for arguments in commands:
        sys.argv = ["media", *arguments]
        try:
            cli.main()
        except SystemExit as done:
            if done.code:
                raise


def dbt(commands: Sequence[Sequence[str]]) -> None:
    """Runs a dbt command."""
    from dbt.cli.main import cli

    (arguments,) = commands
    sys.argv = ["dbt", *arguments]
    cli(prog_name="dbt")


def _run(
    program: str,
    commands: Sequence[Sequence[str]],
    env: Mapping[str, str],
    directory: str,
    outputs: Sequence[str],
) -> None:
    os.setsid()
    os.chdir(directory)
    for descriptor, path in enumerate(("/dev/null", *outputs)):
        opened = os.open(path, os.O_RDWR)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, "r+" if not number else "w", buffering=1) for number in range(3)
    )
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not Path(sys.modules["loader"].__file__ or "").is_relative_to(directory):  # a copy of the checkout
        for name in [name for name in sys.modules if name.partition(".")[0] in ("loader", "flows")]:
            del sys.modules[name]
        sys.path.insert(0, directory)
    {"media": media, "dbt": dbt}[program](commands)


class ForkedProcess:
    """A process like subprocess.Popen's, in a session of its own, with its output in text."""

    def __init__(
        self, program: str, *commands: Sequence[str], env: Mapping[str, str], directory: Path
    ) -> None:
        """Starts `media` (several commands, until one fails) or `dbt` (one command) in the directory."""
        self._outputs = []
        for _ in ("stdout", "stderr"):
            descriptor, name = tempfile.mkstemp()
            os.close(descriptor)
            self._outputs.append(Path(name))
        names = [str(output) for output in self._outputs]
        self._process = _context.Process(
            target=_run, args=[program, commands, dict(env), str(directory), names]
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; None if it is still running."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Returns the exit code; None if it is still running."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for the end; returns stdout and stderr."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        out, err = (
            output.read_text("utf-8", "replace") if output.exists() else "" for output in self._outputs
        )
        return out, err

    def __del__(self) -> None:
        for output in self._outputs:
            output.unlink(missing_ok=True)
