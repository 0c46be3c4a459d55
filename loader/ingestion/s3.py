"""Lists a feed's location and reads its objects; the AWS SDK's variables (AWS_*) say where and as whom."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
import urllib3.exceptions
from botocore import exceptions as boto
from botocore.config import Config

from loader.errors import MediaError

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
"""How often in a row reading on may fail without a byte in between."""
CHUNK = 1 << 20
CUT = (
    boto.HTTPClientError,
    boto.IncompleteReadError,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)
_making = threading.Lock()  # boto3's default session is not safe to make clients in several threads at once


class S3Error(MediaError):
    """S3 did not give what was asked for: a cause outside the file."""


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object as it was when listed."""

    bucket: str
    key: str
    etag: str
    last_modified: datetime
    """In UTC, without a time zone: as the database holds it."""
    size: int
    version_id: str | None = None

    @property
    def uri(self) -> str:
        """s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}"


def connect_s3() -> S3Client:
    """Makes a client; threads may share it. Raises S3Error where AWS_* makes no sense."""
    with _making, _explained("S3"):
        return boto3.session.Session().client("s3", config=CONFIG)


def objects(client: S3Client, bucket: str, prefix: str) -> Iterator[S3Object]:
    """Yields the objects under a prefix, page by page; keys that end in / are folders. Raises S3Error."""
    with _explained(f"s3://{bucket}/{prefix}"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):
                    moment = entry["LastModified"].astimezone(UTC).replace(tzinfo=None)
                    yield S3Object(bucket, entry["Key"], entry["ETag"], moment, entry["Size"])


def open_object(client: S3Client, thing: S3Object) -> ObjectReader:
    """Opens an object as listed and no other state of it; read it through ObjectReader.stream()."""
    return ObjectReader(client, thing)


class ObjectReader(io.RawIOBase):
    """The bytes of one object in one state; reading raises S3Error.

    After a cut connection it reads on where it stood, on the condition that the object is still the same.
    """

    def __init__(self, client: S3Client, thing: S3Object) -> None:
        self._client = client
        self._thing = thing
        self.position = 0  # bytes read so far
        self._body: Any = None
        self.version_id = thing.version_id
        with _explained(thing.uri):
            self._request()

    def stream(self) -> BinaryIO:
        """Returns itself, buffered."""
        return io.BufferedReader(self, CHUNK)

    def readable(self) -> bool:
        """Says yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads up to len(buffer) bytes; 0 at the end, which is where the listing said it would be."""
        with _explained(self._thing.uri):
            data = self._read(len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        if not data and buffer and self.position != self._thing.size:
            raise S3Error(
                f"{self._thing.uri} ended after {self.position} of {self._thing.size} bytes: load it again"
            )
        return len(data)

    def close(self) -> None:
        """Gives the connection up."""
        if self._body is not None:
            self._body.close()
        super().close()

    def _read(self, size: int) -> bytes:
        for attempt in range(ATTEMPTS):
            try:
                if self._body is None:
                    self._request()
                data: bytes = self._body.read(size)
            except CUT:
                self._drop()
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            if data or self.position >= self._thing.size:
                return data
            self._drop()  # it ended early without saying so
        return b""

    def _drop(self) -> None:
        if self._body is not None:
            with suppress(*CUT):
                self._body.close()
        self._body = None

    def _request(self) -> None:
        wanted: dict[str, Any] = {"Bucket": self._thing.bucket, "Key": self._thing.key}
        wanted["IfMatch"] = self._thing.etag
        if self.version_id:
            wanted["VersionId"] = self.version_id
        if self.position:
            wanted["Range"] = f"bytes={self.position}-"
        response = self._client.get_object(**wanted)
        if self.position and not response.get("ContentRange", "").startswith(f"bytes {self.position}-"):
            response["Body"].close()
            raise S3Error(f"the connection for {self._thing.uri} was cut: load it again")
        version = response.get("VersionId")
        self.version_id = version if version and version != "null" else None
        self._body = response["Body"]


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turns every error of the SDK into an S3Error of one sentence."""
    try:
        yield
    except boto.ClientError as error:
        raise S3Error(_refusal(error, what)) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise S3Error(
            f"there are no credentials to read {what}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,"
            " or AWS_PROFILE"
        ) from error
    except boto.NoRegionError as error:
        raise S3Error(f"no region is set to read {what} from: set AWS_DEFAULT_REGION") from error
    except (boto.BotoCoreError, ValueError, *CUT) as error:
        raise S3Error(f"{what} could not be read: {' '.join(str(error).split())}") from error


def _refusal(error: boto.ClientError, what: str) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code == "NoSuchBucket":
        return f"{what} names a bucket that does not exist: correct the location in feeds.yml"
    if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}:
        return f"S3 does not accept the credentials for {what} ({code}): correct AWS_*"
    if code == "PreconditionFailed" or status == 412:
        return f"{what} was replaced while being read: load again to get what is there now"
    if code in {"NoSuchKey", "NoSuchVersion", "404"}:
        return f"{what} is gone: it was deleted after it was listed"
    if code in {"AccessDenied", "AllAccessDisabled", "403"} or status == 403:
        return (
            f"these AWS credentials have no permission to read {what}: grant s3:ListBucket and s3:GetObject"
        )
    message = error.response.get("Error", {}).get("Message", "")
    return f"S3 refused {what}: {code} {' '.join(str(message).split())}".rstrip()
