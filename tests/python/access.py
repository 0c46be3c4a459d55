"""An agency's database as on managed PostgreSQL: nothing is done by a superuser.

agency_owner   owns the database, may create roles; migrates; adds clients, CPMs and users
loading        member of media_loader only; building: of media_transformer only
agency_bi      member of media_reader; portal: of media_portal
acme_bi, …     logins created by `media users add --login`, and some that are misconfigured
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import psycopg
from conftest import S3, SETTINGS
from dbt.cli.main import dbtRunner
from product import MARTS, Completed, Product
from psycopg import sql

from loader.database import binaries
from loader.database.connection import Database
from loader.database.embedded import Embedded
from loader.database.server import Server
from loader.project import CHECKOUT

BUCKET = "agency"
PROTECTED = ("clients", *MARTS)
TWELVE = (*PROTECTED, "users", "client_settings", "staging_media_raw", "ingestion_logs")
CLIENTS = ("Acme", "Globex", "Initech")
PASSWORD = "correct horse"
FEEDS: Mapping[str, Any] = {
    "desk": {
        "location": f"s3://{BUCKET}/desk/",
        "key_pattern": r"(?P<date>\d{4}-\d{2}-\d{2})\.csv$",
        "client": {"column": "Client"},
        "columns": {
            "date": "Date",
            "campaign_name": "Campaign",
            "strategy_name": "Strategy",
            "placement_name": "Placement",
            "creative_name": "Creative",
            "impressions": "Imps",
            "clicks": "Clicks",
        },
    }
}
SETUP = """
create role loading login in role media_loader;
create role building login in role media_transformer;
create role agency_bi login in role media_reader;
create role portal login in role media_portal;
create role portals nologin in role media_portal;
create role nested_portal login in role portals;
create role unbound_bi login in role media_client;
create role outsider login;
create role admin_bi login in role media_client;
update media.users set database_login = 'admin_bi' where email = 'admin@agency.example';
create role admin_portal login in role media_portal;
update media.users set database_login = 'admin_portal' where email = 'root@agency.example';
create role both_bound login in role media_client, media_portal;
update media.users set database_login = 'both_bound' where email = 'bob@acme.example';
create role both_unbound login in role media_client, media_portal;
create role bound_portal login in role media_portal;
update media.users set database_login = 'bound_portal' where email = 'carl@acme.example';
"""


@dataclass(frozen=True)
class Agency:
    """The database, and ways to connect to it."""

    server: Server
    product: Product
    """The commands, run as agency_owner."""
    directory: Path

    def by(self, login: str) -> Product:
        """Returns the commands, run as another login."""
        env = {**self.product.database.env, "PGUSER": login}
        return replace(self.product, database=Database(f"the agency's database as {login}", env))

    @contextmanager
    def connection(self, login: str, user: str | None = None, **options: Any) -> Iterator[psycopg.Connection]:
        """Connects as a login; a portal acts for the user with this id."""
        with psycopg.connect(
            host=str(self.server.socket_directory),
            port=self.server.port,
            dbname=self.product.database.env["PGDATABASE"],
            user=login,
            autocommit=True,
            **options,
        ) as opened:
            if user is not None:
                opened.execute("select set_config('app.current_user_id', %s, false)", [user])
            yield opened

    def user(self, email: str) -> str:
        """Returns a user's id."""
        (found,) = self.product.query("select id::text as id from media.users where email = %s", email)
        return str(found["id"])

    def rows_as_owner(self, table: str, client: str | None = None) -> list[tuple[Any, ...]]:
        """Returns a table's rows as the owner sees them, for one client or for all."""
        column = "id" if table == "clients" else "client_id"
        with self.connection("agency_owner") as connection:
            return connection.execute(
                sql.SQL(
                    "select * from {table} where %(client)s::text is null or {column} ="
                    " (select id from media.clients where name = %(client)s) order by id"
                ).format(table=sql.Identifier("media", table), column=sql.Identifier(column)),
                {"client": client},
            ).fetchall()

    def dbt(self, *arguments: str, login: str = "building", options: str = "") -> Completed:
        """Runs dbt in this process as the login, with libpq's `options`; does not fail if dbt fails."""
        env = {**self.by(login).env, "PGOPTIONS": options}
        out = StringIO()
        with (
            patch.dict(os.environ, env, clear=True),
            redirect_stdout(out),
            redirect_stderr(out),
            warnings.catch_warnings(action="ignore"),  # dbt's own
        ):
            done = dbtRunner().invoke(
                [*arguments, "--project-dir", str(CHECKOUT), "--profiles-dir", str(self.directory)]
            )
        return Completed(arguments, int(not done.success), out.getvalue(), "")


def rows(connection: psycopg.Connection, table: str) -> list[tuple[Any, ...]]:
    """Returns all rows of a table that the connection can see."""
    return connection.execute(
        sql.SQL("select * from {} order by id").format(sql.Identifier("media", table))
    ).fetchall()


def csv(day: str) -> str:
    """Returns one day's file: each client has a campaign with its own name, and one called Spring."""
    lines = ["Client,Date,Campaign,Strategy,Placement,Creative,Imps,Clicks"]
    for number, client in enumerate(CLIENTS, 1):
        for campaign in (f"{client} secret", "Spring"):
            lines += [f"{client},{day},{campaign},S,P,{ad},{number}000,{number}" for ad in ("one", "two")]
    return "\n".join(lines) + "\n"


@contextmanager
def agency(programs: Path | None, directory: Path, endpoint: str) -> Iterator[Agency]:
    """Yields an agency with clients, users and marts, all created without a superuser."""
    embedded = Embedded(directory / "cluster", programs or binaries.wheel(), SETTINGS)
    with embedded.lease() as server:
        with server.connect("postgres") as connection:
            connection.execute("create role agency_owner login createrole")
            connection.execute("create database agency owner agency_owner")
        shutil.copyfile(CHECKOUT / "profiles.example.yml", directory / "profiles.yml")
        env = {**server.environment(), "PGDATABASE": "agency", "PGUSER": "agency_owner"}
        product = Product(
            Database("the agency's database", env), s3(endpoint), directory / "feeds.yml", directory / "dbt"
        )
        created = Agency(server, product, directory)
        set_up(created)
        yield created
        product.s3.client.close()
        embedded.stop()


def s3(endpoint: str) -> S3:
    """Returns moto's S3 for a whole session; deliver() creates the bucket when it is needed."""
    env = {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    return S3(endpoint, env, client)


def set_up(agency: Agency) -> None:
    """Sets the agency up with commands, each run by the login that is responsible for it."""
    owner = agency.product
    owner.run("migrate")
    for number, client in enumerate(CLIENTS, 1):
        owner.add_client(client)
        owner.run("cpm", "set", client, f"{number}.5")
    for email, which in {
        "ann@acme.example": ["--client", "Acme", "--login", "acme_bi"],
        "bob@acme.example": ["--client", "Acme"],
        "carl@acme.example": ["--client", "Acme"],
        "gone@acme.example": ["--client", "Acme", "--login", "gone_bi"],
        "gus@globex.example": ["--client", "Globex", "--login", "globex_bi"],
        "ida@initech.example": ["--client", "Initech", "--login", "initech_bi"],
        "admin@agency.example": ["--admin"],
        "root@agency.example": ["--admin"],
    }.items():
        with password_set(PASSWORD):
            owner.run("users", "add", email, *which)
    owner.run("users", "disable", "gone@acme.example")
    owner.run("clients", "disable", "Initech")
    with agency.connection("agency_owner") as connection:
        connection.execute(SETUP)
    owner.feeds(FEEDS)
    deliver(agency, "2026-01-05")
    agency.by("loading").run("load")
    agency.by("building").run("transform")
    with agency.server.connect("agency") as connection:
        connection.execute("analyze")  # as autovacuum does: statistics could leak rows


def deliver(agency: Agency, day: str) -> None:
    """Puts a day's file, and removes older ones from the bucket."""
    s3 = agency.product.s3
    s3.bucket(BUCKET)
    for old in s3.client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.client.delete_object(Bucket=BUCKET, Key=old["Key"])
    s3.put(f"desk/{day}.csv", csv(day), BUCKET)


@contextmanager
def password_set(password: str) -> Iterator[None]:
    """Sets MEDIA_PASSWORD for the commands in the block."""
    with patch.dict(os.environ, {"MEDIA_PASSWORD": password}):
        yield
