"""The command `media`: parses arguments, calls the other modules and prints their results."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from loader import console, progress
from loader.agency import clients, cpms, users
from loader.database import libpq
from loader.database.connection import connect, require_tables
from loader.database.copy import copy_database, drop_command, shell_commands
from loader.database.embedded import Embedded
from loader.database.migrate import migrate as apply_schema
from loader.errors import MediaError, one_sentence
from loader.files.feeds import read_feeds
from loader.ingestion import runs
from loader.ingestion.load import WORKERS
from loader.ingestion.load import load as load_objects
from loader.names import counted
from loader.nightly.notices import with_notices
from loader.nightly.status import status as read_status
from loader.project import feeds_file, require_directory

SETTINGS: dict[str, Any] = {
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
INTERRUPTED = 130
"""Typer's exit code after Ctrl-C."""
app = typer.Typer(help="Partner files in, billable figures out.", add_completion=False, **SETTINGS)
clients_app = typer.Typer(help="The clients.", **SETTINGS)
cpm_app = typer.Typer(help="Each client's CPM: the price of a thousand impressions.", **SETTINGS)
users_app = typer.Typer(help="The users, and what they may see.", **SETTINGS)
db_app = typer.Typer(help="The embedded PostgreSQL in .media/.", **SETTINGS)
for _name, _group in {"clients": clients_app, "cpm": cpm_app, "users": users_app, "db": db_app}.items():
    app.add_typer(_group, name=_name)


def _parsed_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date: write it as 2025-01-31") from error


def _show_version(requested: bool) -> None:
    if requested:
        console.say(f"media {version('paid-media')}")
        raise typer.Exit()


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Day = Annotated[date | None, typer.Option(parser=_parsed_date, metavar="D")]
Since = Annotated[
    date | None,
    typer.Option("--from", parser=_parsed_date, metavar="D", help="Default: from the beginning."),
]


def main() -> None:
    """Runs the command. Exit code 0: everything is done, 1: something failed, 2: wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except BrokenPipeError:  # `media rejects | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (MediaError, psycopg.Error, OSError) as error:
        console.fail(one_sentence(error))
        sys.exit(1)
    except UnicodeEncodeError:
        console.fail("an argument, a file name or MEDIA_PASSWORD is not valid UTF-8: write it in UTF-8")
        sys.exit(1)
    except SystemExit as done:
        if done.code != INTERRUPTED:
            raise
        console.exit_interrupted()


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Handles the options that precede a command."""


@app.command()
def migrate() -> None:
    """Create or update tables, roles and policies; safe at any time."""
    with console.open_database() as db, connect(db) as connection:
        console.say("migrated" if apply_schema(connection) else "nothing to change")


@app.command()
def load(
    feed: Annotated[str | None, typer.Option(help="Only this feed.")] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Only this object, even if it is already loaded; KEY?versionId=ID: this version."),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Also files that failed or have rejected rows.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be loaded.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="How many objects to load in parallel.")] = WORKERS,
    as_json: AsJson = False,
) -> None:
    """Load what is new in S3."""
    with console.open_database(as_json) as db, progress.loading(as_json) as reporter:
        feeds = read_feeds(feeds_file())
        results = load_objects(db, feeds, feed, key, retry, dry_run, workers, reporter)
        unread = ""
        try:
            if not dry_run:
                with connect(db, "media_loader", autocommit=True) as connection:
                    results = with_notices(connection, results)
        except (MediaError, psycopg.Error) as error:
            unread = f"what was loaded could not be compared with earlier files: {one_sentence(error)}"
    if as_json:
        console.print_json(results)
    else:
        if dry_run:
            for result in results:
                console.say(progress.line(result))
        rows, rejected = sum(r.loaded for r in results), sum(r.rejected for r in results)
        failed = sum(r.status == "failed" for r in results)
        objects = counted(len(results) - failed, "object")
        summary = f"{objects}, {counted(rows, 'row')} loaded, {rejected:,} rejected"
        console.say(f"{summary}; {failed:,} failed" if failed else summary)
        for result in results:
            for notice in result.notices:
                console.say(f"warning: {notice}")
    failures = [result for result in results if result.status == "failed"]
    for result in failures:
        console.fail(f"{result.uri}: {result.message}")
    if unread:
        console.fail(unread)
    raise typer.Exit(1 if failures or unread else 0)


@app.command()
def transform(
    rebuild_from: Day = None,
    rebuild_to: Day = None,
    client: Annotated[str | None, typer.Option(help="Recompute only this client.")] = None,
) -> None:
    """Bring the marts up to date with dbt."""
    from loader.nightly.transform import transform as build

    with console.open_database() as db:
        feeds = read_feeds(feeds_file())
        with progress.building() as on_node:
            nodes = build(db, feeds, rebuild_from, rebuild_to, client, on_node)
    for node in nodes:
        if node.status == "warn":
            console.say(f"warning: {node}")
    failures = [node for node in nodes if node.failed]
    for node in failures:
        console.fail(str(node))
    console.say(f"{counted(len(nodes), 'node')}, {len(failures)} failed")
    raise typer.Exit(1 if failures else 0)


@app.command()
def nightly() -> None:
    """Run the nightly flow once, in this process: load, then transform."""
    _require_prefect_home()
    with redirect_stderr(sys.stdout):  # Prefect's log lines are not failures
        from flows.nightly import nightly as flow
        from loader.nightly.outcome import NightlyError

        state = flow(return_state=True)
    if not state.is_completed():
        try:
            state.result()
        except NightlyError as error:
            for sentence in error.sentences:
                console.fail(sentence)
        except (MediaError, psycopg.Error):
            raise
        except Exception as error:  # from Prefect: its server did not start, the run was cancelled
            raise MediaError(" ".join(str(error).split()) or type(error).__name__) from error
        raise typer.Exit(1)


def _require_prefect_home() -> None:
    """Raises MediaError if Prefect, which is not imported yet, will not be able to write its files."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect")
    try:
        require_directory("PREFECT_HOME", home.expanduser())
    except RuntimeError as error:
        raise MediaError("this user has no home directory: set PREFECT_HOME") from error


@app.command()
def serve(cron: Annotated[str, typer.Option(help="The schedule, in UTC.")] = "0 5 * * *") -> None:
    """Run the nightly flow on a schedule until stopped."""
    _require_prefect_home()
    from flows.nightly import serve as run

    try:
        run(cron)
    except ValueError as error:
        raise typer.BadParameter(
            f'{cron!r} is not a cron expression: write it like "0 5 * * *"', param_hint="--cron"
        ) from error


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the last runs, and what waits for `media transform` or --retry."""
    with console.open_database(as_json) as db, connect(db) as connection:
        require_tables(connection)
        found = read_status(connection)
    if as_json:
        console.print_json(found)
        return
    console.print_table(
        ["run", "feed", "file", "status", "started", "loaded", "rejected", "message"],
        [dataclasses.astuple(run) for run in found.runs],
    )
    console.print_table(
        ["feed", "latest day", "last load"], [dataclasses.astuple(feed) for feed in found.feeds]
    )
    console.say(f"days waiting for `media transform`: {found.days_waiting}")
    console.say(f"clients without a CPM: {', '.join(found.clients_without_cpm) or 'none'}")
    console.say(f"files waiting for `media load --retry`: {found.files_waiting_for_retry}")
    console.say(f"rejected rows in them: {found.rejected_rows}")
    for notice in found.notices:
        console.say(f"warning: {notice.sentence}")


@app.command()
def rejects(
    run: Annotated[str | None, typer.Argument(help="A run, or the last characters of its id.")] = None,
    file: Annotated[Path | None, typer.Option("--csv", help="Write the rows to this CSV file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the rejected rows of a run, or of all files that wait for --retry."""
    with console.open_database(as_json) as db, connect(db, "media_loader") as connection:
        require_tables(connection)
        if file is not None:
            written = console.write_csv(file, runs.RejectedRow, runs.rejects(connection, run))
        if as_json:
            console.print_json(runs.rejects(connection, run))
        elif file is not None:
            console.say(f"{counted(written, 'rejected row')} written to {file}")
        else:
            names = [field.name for field in dataclasses.fields(runs.RejectedRow)]
            console.print_table(names, map(dataclasses.astuple, runs.rejects(connection, run)))


@app.command()
def retract(run: Annotated[str, typer.Argument(help="A run, or the last characters of its id.")]) -> None:
    """Retract a run, and every run of the same key and content: their rows no longer count."""
    with console.open_database() as db, connect(db, "media_loader", autocommit=True) as connection:
        require_tables(connection)
        uri, retracted = runs.retract(connection, run)
        console.say(
            f"retracted this version of {uri}: from the next `media transform` on, its rows no longer count;"
            " what it replaced counts again"
            if retracted
            else f"this version of {uri} was already retracted"
        )


@clients_app.command("add")
def clients_add(name: str) -> None:
    """Add a client."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        console.say(f"added {name}: {clients.add_client(connection, name)}")


@clients_app.command("list")
def clients_list(as_json: AsJson = False) -> None:
    """List the clients, with the CPM in force today."""
    with console.open_database(as_json) as db, connect(db) as connection:
        require_tables(connection)
        found = clients.list_clients(connection)
    if as_json:
        console.print_json(found)
    else:
        console.print_table(
            ["id", "name", "status", "cpm"], [dataclasses.astuple(client) for client in found]
        )


@clients_app.command("enable")
def clients_enable(name: str) -> None:
    """Enable a client: its users see its figures again."""
    _set_status(name, "active")


@clients_app.command("disable")
def clients_disable(name: str) -> None:
    """Disable a client: its users see no rows; its files are still loaded."""
    _set_status(name, "disabled")


def _set_status(name: str, status: str) -> None:
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        changed = clients.set_status(connection, name, status)
        console.say(f"{name} is {'now' if changed else 'already'} {status}")


@clients_app.command("import")
def clients_import(file: Path) -> None:
    """Add clients and CPMs from a CSV file with the columns name, cpm, effective_date."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        added, cpms_set = clients.import_clients(connection, file)
        console.say(f"{counted(added, 'client')} added, {counted(cpms_set, 'CPM')} set")


@cpm_app.command("set")
def cpm_set(client: str, cpm: str, since: Since = None) -> None:
    """Set a client's CPM, from a date or from the beginning."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        parsed = cpms.parsed_cpm(cpm)
        console.say(str(cpms.set_cpm(connection, clients.find_client(connection, client), parsed, since)))


@cpm_app.command("list")
def cpm_list(client: Annotated[str | None, typer.Argument()] = None) -> None:
    """List the CPMs of a client, or of all clients."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        client_id = clients.find_client(connection, client) if client else None
        found = cpms.list_cpms(connection, client_id)
    console.print_table(["client", "cpm", "from"], [dataclasses.astuple(cpm) for cpm in found])


@cpm_app.command("remove")
def cpm_remove(client: str, since: Since = None) -> None:
    """Remove a client's CPM, from a date or from the beginning."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        console.say(str(cpms.remove_cpm(connection, clients.find_client(connection, client), since)))


@users_app.command("add")
def users_add(
    email: str,
    client: Annotated[str | None, typer.Option(help="The client whose figures the user may see.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="Sees all clients, through the portal.")] = False,
    login: Annotated[str | None, typer.Option(help="Also create this database login for the user.")] = None,
) -> None:
    """Add a user; the password comes from a prompt, or from MEDIA_PASSWORD."""
    if admin == (client is not None):
        raise typer.BadParameter("give either --client or --admin")
    if admin and login is not None:
        raise typer.BadParameter("--login requires --client: admins use the portal only")
    # autocommit, so that no transaction stays open during the password prompt
    with console.open_database() as db, connect(db, autocommit=True) as connection:
        require_tables(connection)
        client_id = clients.find_client(connection, client) if client else None
        user_id = users.add_user(connection, email, _password(), client_id, login)
        console.say(f"added {email}: {user_id}")


def _password() -> str:
    if password := os.environ.get("MEDIA_PASSWORD"):
        return password
    try:
        # piped input is not echoed, so there is nothing to hide
        return str(typer.prompt("Password", hide_input=sys.stdin.isatty(), confirmation_prompt=True))
    except typer.Abort as error:
        raise MediaError("a password is needed: type one, or set MEDIA_PASSWORD") from error


@users_app.command("list")
def users_list() -> None:
    """List the users."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        found = users.list_users(connection)
    console.print_table(
        ["email", "role", "client", "login", "disabled"], [dataclasses.astuple(user) for user in found]
    )


@users_app.command("disable")
def users_disable(email: str) -> None:
    """Disable a user, who then sees no rows."""
    with console.open_database() as db, connect(db) as connection:
        require_tables(connection)
        changed = users.disable_user(connection, email)
        console.say(f"{email} is {'now' if changed else 'already'} disabled")


@app.command()
def demo() -> None:
    """Show everything on sample data, with its own database and its own S3."""
    from loader.demo.scenario import demo as run_demo

    run_demo()


@db_app.command("start")
def db_start() -> None:
    """Start the embedded server and keep it running."""
    embedded = Embedded()
    server = embedded.start()
    console.say("embedded PostgreSQL is running:")
    for name, value in server.environment().items():
        console.say(f"{name}={value}")
    address = (
        embedded.address(server) or f"none, because another program uses port {server.port} of 127.0.0.1"
    )
    console.say(f"for administration by programs that do not support sockets, as the superuser: {address}")
    console.say("for BI tools: create a login that sees only what it should, as docs/access.md describes")


@db_app.command("stop")
def db_stop() -> None:
    """Stop the embedded server."""
    console.say("stopped" if Embedded().stop() else "the embedded PostgreSQL was not running")


@db_app.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def db_psql(context: typer.Context) -> None:
    """Open psql on the database; further arguments are passed to psql."""
    with console.open_database(to_stderr=True) as db:
        program = shutil.which("psql", path=os.pathsep.join([os.environ["PATH"], str(Embedded().programs)]))
        if program is None:
            raise MediaError("psql is not on PATH: install the PostgreSQL client")
        done = subprocess.run([program, *context.args], env=db.environ(), check=False)
    raise typer.Exit(1 if done.returncode else 0)


@db_app.command("copy")
def db_copy(name: str) -> None:
    """Copy the database, to develop in the copy."""
    embedded = None if libpq.variables_set() else Embedded()
    with console.open_database() as db:
        copy_database(db, name)
        if embedded:
            embedded.start()  # the variables below name its socket, so it must keep running
        console.say(f"created {name}, a copy of {db.env['PGDATABASE']}; to work on it, run in your shell:")
        for command in shell_commands(db, name):
            console.say(command)
        console.say(f"to drop it: {drop_command(db, name)}")
