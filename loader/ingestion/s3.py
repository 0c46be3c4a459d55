"""Lists and reads S3 objects; the AWS SDK's variables (AWS_*) configure the endpoint and the credentials."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
import botocore.session
import urllib3.exceptions
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from botocore.utils import parse_timestamp

from loader.errors import MediaError
from loader.ingestion.refusals import NOT_S3, REQUESTER_PAYS, failure, is_denied_without_a_reason, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=15,
    read_timeout=60,
    max_pool_connections=32,
    user_agent_extra="media",
)
ATTEMPTS = 5
"""How many reads in a row may fail before reading an object is given up."""
CHUNK = 1 << 20
LISTING_FIELDS = {"Name", "KeyCount", "IsTruncated", "Contents"}
"""A listing has some of these; a web page, which botocore reads as an empty listing, has none."""
CONNECTION_ERRORS = (
    boto.HTTPClientError,
    boto.IncompleteReadError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)
_client_lock = threading.Lock()  # creating clients with boto3 is not thread-safe


class S3Error(MediaError):
    """S3 could not be listed or read: a cause outside the file."""


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object in the state in which it was listed."""

    bucket: str
    key: str
    etag: str
    last_modified: datetime
    """UTC, as a naive datetime, like the database's timestamps."""
    size: int
    version_id: str | None = None
    is_current: bool = True
    """Not an earlier version of its key."""

    @property
    def uri(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}"


def connect_s3() -> S3Client:
    """Returns a client, which is thread-safe. Raises S3Error if the AWS_* settings are invalid."""
    with _client_lock, _s3_errors("S3"):
        session = botocore.session.get_session()
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
        return boto3.session.Session(botocore_session=session).client("s3", config=CONFIG)


def _timestamp(value: Any) -> datetime:
    """Parses a time in an answer; botocore takes half of the time of a listing for this."""
    if isinstance(value, str) and "T" in value[:11]:
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    parsed: datetime = parse_timestamp(value)
    return parsed


def list_objects(client: S3Client, bucket: str, prefix: str) -> Iterator[S3Object]:
    """Yields the objects under a prefix, page by page, without folders (keys that end in /); or S3Error."""

    def as_payer() -> object:
        return client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1, RequestPayer="requester")

    with _s3_errors(f"s3://{bucket}/{prefix}", as_payer):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            if not page.keys() & LISTING_FIELDS:
                raise S3Error(NOT_S3.format(target=f"s3://{bucket}/{prefix}"))
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    modified = entry["LastModified"].astimezone(UTC).replace(tzinfo=None)
                    yield S3Object(bucket, entry["Key"], entry["ETag"], modified, entry["Size"])


def list_versions(client: S3Client, bucket: str, prefix: str) -> Iterator[S3Object]:
    """Yields every version of the objects under a prefix, those of a key oldest first; or raises S3Error.

    Delete markers are not versions. A bucket, or a service, without versions has the current ones only.
    """

    def as_payer() -> object:
        return client.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=1, RequestPayer="requester")

    with _s3_errors(f"s3://{bucket}/{prefix}", as_payer):
        pages = client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        try:
            for _, versions in groupby(_versions(bucket, prefix, pages), lambda obj: obj.key):
                yield from reversed(list(versions))  # S3 lists the latest version of a key first
        except boto.ClientError as error:
            if error.response.get("Error", {}).get("Code") != "NotImplemented":
                raise
            yield from list_objects(client, bucket, prefix)


def _versions(bucket: str, prefix: str, pages: Iterable[Any]) -> Iterator[S3Object]:
    """Yields the versions in the pages of a listing, in the order of S3."""
    for page in pages:
        if not page.keys() & {*LISTING_FIELDS, "Versions", "DeleteMarkers"}:
            raise S3Error(NOT_S3.format(target=f"s3://{bucket}/{prefix}"))
        for entry in page.get("Versions", []):
            if not entry["Key"].endswith("/"):
                modified = entry["LastModified"].astimezone(UTC).replace(tzinfo=None)
                # the current version of a bucket that has no versions is called null
                version = None if entry["IsLatest"] and entry["VersionId"] == "null" else entry["VersionId"]
                state = (entry["ETag"], modified, entry["Size"], version, entry["IsLatest"])
                yield S3Object(bucket, entry["Key"], *state)


def open_object(client: S3Client, obj: S3Object) -> ObjectReader:
    """Opens an object in the state that was listed; read it through ObjectReader.stream(). Raises S3Error."""
    return ObjectReader(client, obj)


class ObjectReader(io.RawIOBase):
    """The bytes of one object in one state; reading raises S3Error.

    After a lost connection it continues at the same position, provided that the object has not changed.
    """

    def __init__(self, client: S3Client, obj: S3Object) -> None:
        self._client = client
        self._obj = obj
        self.position = 0  # bytes read so far
        self._body: Any = None
        self.version_id = obj.version_id
        with _s3_errors(obj.uri, self._request_first_byte_as_payer):
            self._request()

    def stream(self) -> BinaryIO:
        """Returns a buffered stream of the object."""
        return io.BufferedReader(self, CHUNK)

    def readable(self) -> bool:  # noqa: D102 (part of the interface of RawIOBase)
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads up to len(buffer) bytes; 0 at the end. Raises S3Error, also if the object ends early."""
        with _s3_errors(self._obj.uri):
            data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        if not data and buffer and self.position != self._obj.size:
            raise S3Error(
                f"{self._obj.uri} ended after {self.position} of {self._obj.size} bytes: load it again"
            )
        return len(data)

    def close(self) -> None:
        """Closes the connection."""
        if self._body is not None:
            self._body.close()
        super().close()

    def _read(self, size: int) -> bytes:
        for attempt in range(ATTEMPTS):
            try:
                if self._body is None:
                    self._request()
                data: bytes = self._body.read(size)
            except CONNECTION_ERRORS:
                self._disconnect()
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            if data or self.position >= self._obj.size:
                return data
            self._disconnect()  # the connection ended early without an error
        return b""

    def _request_first_byte_as_payer(self) -> None:
        obj = self._obj
        self._client.get_object(Bucket=obj.bucket, Key=obj.key, Range="bytes=0-0", RequestPayer="requester")[
            "Body"
        ].close()

    def _disconnect(self) -> None:
        if self._body is not None:
            with suppress(*CONNECTION_ERRORS):
                self._body.close()
        self._body = None

    def _request(self) -> None:
        request: dict[str, Any] = {"Bucket": self._obj.bucket, "Key": self._obj.key}
        request["IfMatch"] = self._obj.etag
        if version := self._obj.version_id or self.version_id:
            request["VersionId"] = version
        if self.position:
            request["Range"] = f"bytes={self.position}-"
        response = self._client.get_object(**request)
        if self.position and not response.get("ContentRange", "").startswith(f"bytes {self.position}-"):
            response["Body"].close()
            raise S3Error(f"the connection was lost while reading {self._obj.uri}: load it again")
        version = response.get("VersionId")
        self.version_id = version if version and version != "null" else None
        self._body = response["Body"]


@contextmanager
def _s3_errors(target: str, as_payer: Callable[[], object] | None = None) -> Iterator[None]:
    """Converts every error of the SDK to an S3Error with a one-sentence message; `target` is the URI.

    `as_payer` repeats the request, offering to pay for it (a fraction of a cent): only this shows whether
    access is denied because the bucket is a Requester Pays bucket.
    """
    try:
        yield
    except boto.ClientError as error:
        if as_payer and is_denied_without_a_reason(error) and _succeeds(as_payer):
            raise S3Error(REQUESTER_PAYS.format(target=target)) from error
        raise S3Error(refusal(error, target)) from error
    except (boto.BotoCoreError, ResponseParserError, OSError, ValueError, *CONNECTION_ERRORS) as error:
        raise S3Error(failure(error, target)) from error


def _succeeds(request: Callable[[], object]) -> bool:
    try:
        request()
    except (boto.ClientError, boto.BotoCoreError, ResponseParserError, *CONNECTION_ERRORS):
        return False
    return True
