"""S3 refuses: the message says why, and what to do. A real HTTP server sends what S3 sends."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from loader.ingestion.s3 import (
    CONFIG,
    S3Error,
    S3Object,
    connect_s3,
    list_objects,
    list_versions,
    open_object,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OBJECT = S3Object("drops", "ttd/1.csv", '"etag"', datetime(2026, 3, 1), 3)
FOLDER = "s3://drops/ttd/"
NOT_ALLOWED = "User: arn:aws:sts::111122223333:assumed-role/loader/media is not authorized to perform: "
KMS_DENIED = NOT_ALLOWED + (
    "kms:Decrypt on the resource associated with this ciphertext because no identity-based policy allows the"
    " kms:Decrypt action"
)
BOUNDARY = NOT_ALLOWED + (
    's3:GetObject on resource: "arn:aws:s3:::drops/a" with an explicit deny in a service control policy'
)


ONE_OBJECT = b"""
<ListBucketResult>
<Contents>
<Key>ttd/1.csv</Key><LastModified>2026-03-01T00:00:00.000Z</LastModified><ETag>"etag"</ETag><Size>3</Size>
</Contents>
</ListBucketResult>
""".strip()


@dataclass
class Answer:
    """What the server answers to every request."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    unless_paid: bool = False
    """Answer 200 to requests that offer to pay."""
    only_for_versions: bool = False
    """Answer 200 to requests that do not list versions."""


def error(status: int, code: str, message: str = "", headers: Mapping[str, str] = {}, **more: str) -> Answer:
    fields = {"Code": code, "Message": message, **more, "RequestId": "4442587FB7D0A2F9"}
    body = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return Answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'.encode(), headers)


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Runs the server for the duration of the block; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

        def do_GET(self) -> None:
            paid = answer.unless_paid and self.headers.get("x-amz-request-payer") == "requester"
            good = paid or (answer.only_for_versions and "versions" not in self.path)
            self.send_response(200 if good else answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            body = ONE_OBJECT if good else answer.body
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:  # STS
            self.do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def listing(client: S3Client) -> object:
    return list(list_objects(client, "drops", "ttd/"))


def listing_versions(client: S3Client) -> object:
    return list(list_versions(client, "drops", "ttd/"))


def reading(client: S3Client) -> object:
    with open_object(client, OBJECT) as reader:
        return reader.stream().read()


def sentence(answer: Answer, request: Callable[[S3Client], object]) -> str:
    """Returns the message of a request that is not tried again."""
    config = CONFIG.merge(Config(retries={"total_max_attempts": 1}))
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    with (
        answering(answer) as url,
        closing(boto3.client("s3", endpoint_url=url, config=config, **keys)) as client,  # type: ignore[call-overload]
        pytest.raises(S3Error) as raised,
    ):
        request(client)
    return str(raised.value)


BOTH: Mapping[str, tuple[Answer, str]] = {
    "clock": (
        error(
            *(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            ),
            RequestTime="20260301T110000Z",
            ServerTime="2026-03-01T12:00:00Z",
        ),
        "clock of this machine is wrong (S3's is at 2026-03-01T12:00:00Z): correct it",
    ),
    "expired": (
        error(400, "ExpiredToken", "The provided token has expired."),
        "have expired (ExpiredToken): sign in",
    ),
    "to refresh": (error(400, "TokenRefreshRequired"), "have expired (TokenRefreshRequired): sign in again"),
    "invalid token": (error(400, "InvalidToken", "Malformed."), "correct AWS_SESSION_TOKEN"),
    "unknown key": (error(403, "InvalidAccessKeyId"), "does not know the access key"),
    "wrong secret": (error(403, "SignatureDoesNotMatch", "Check."), "correct AWS_SECRET_ACCESS_KEY"),
    "region in a header": (
        error(
            301, "PermanentRedirect", "Use it.", {"x-amz-bucket-region": "eu-west-3"}, Endpoint="drops.s3.x"
        ),
        "is in the region eu-west-3: set AWS_DEFAULT_REGION=eu-west-3",
    ),
    "region in the endpoint": (
        error(301, "PermanentRedirect", "Use it.", Endpoint="drops.s3-us-gov-west-1.amazonaws.com"),
        "is in the region us-gov-west-1",
    ),
    "region in the body": (
        error(400, "AuthorizationHeaderMalformed", "The region is wrong", Region="eu-central-1"),
        "is in the region eu-central-1",
    ),
    "opt-in region": (
        error(400, "IllegalLocationConstraintException", "", {"x-amz-bucket-region": "ap-east-1"}),
        "is in the region ap-east-1",
    ),
    "region without a body": (
        Answer(301, b"", {"x-amz-bucket-region": "eu-west-3"}),
        "is in the region eu-west-3",
    ),
    "unknown region": (
        error(301, "PermanentRedirect", "Use it."),
        "PermanentRedirect: Use it): check AWS_ENDPOINT_URL",
    ),
    "requester pays": (
        Answer(403, error(403, "AccessDenied", "Access Denied").body, unless_paid=True),
        "is a Requester Pays bucket",
    ),
    "requester pays, in words": (
        error(403, "AccessDenied", "This is a requester pays bucket"),
        "is a Requester Pays bucket",
    ),
    "too busy": (error(503, "SlowDown", "Please reduce your request rate."), "too busy to send"),
    "unavailable": (Answer(503, b"<html>"), "too busy to send"),
    "failing": (error(500, "InternalError"), "failed while sending"),
    "gateway": (Answer(502, b"<html>"), "failed while sending"),
    "account": (
        error(403, "AccountProblem", "There is a problem"),
        "its owner has to settle this with AWS Support",
    ),
    "disabled": (error(403, "AllAccessDisabled", "All access is disabled"), "AWS Support"),
    "no bucket": (error(404, "NoSuchBucket"), "in a bucket that does not exist: correct the location"),
    "not modified": (Answer(304), "(304: Not Modified): check AWS_ENDPOINT_URL_S3"),
    "unknown": (error(400, "Unheard{Of}", "A {new} reason."), "(Unheard{Of}: A {new} reason): check"),
    "policy": (
        error(403, "AccessDenied", BOUNDARY),
        "a service control policy denies these AWS credentials s3:GetObject",
    ),
}
OBJECTS: Mapping[str, tuple[Answer, str]] = {
    "archived": (
        error(
            403, "InvalidObjectState", "Not valid for the object's storage class", StorageClass="DEEP_ARCHIVE"
        ),
        "s3://drops/ttd/1.csv is archived (DEEP_ARCHIVE): restore it, or remove it from the feed's location",
    ),
    "kms": (error(403, "AccessDenied", KMS_DENIED), "grant kms:Decrypt on that key"),
    "kms, in older words": (
        error(403, "AccessDenied", "The ciphertext refers to a customer master key that does not exist"),
        "grant kms:Decrypt on that key",
    ),
    "disabled key": (error(400, "KMS.DisabledException", "arn is disabled."), "have the key enabled"),
    "customer's key": (
        error(400, "InvalidRequest", "The object was stored using a form of Server Side Encryption."),
        "(SSE-C), which `media load` does not support",
    ),
    "denied": (
        error(403, "AccessDenied", "Access Denied"),
        "no permission to read s3://drops/ttd/1.csv: grant s3:GetObj",
    ),
    "denied without a body": (Answer(403), "grant s3:GetObject"),
    "replaced": (error(412, "PreconditionFailed"), "was replaced while being read"),
    "shortened": (error(416, "InvalidRange"), "was replaced while being read"),
    "deleted": (error(404, "NoSuchKey"), "no longer exists"),
    "deleted, without a body": (Answer(404), "no longer exists"),
}
LISTINGS: Mapping[str, tuple[Answer, str]] = {
    "a web page": (Answer(200, b"<html><p>Hello</p></html>"), f"the requests for {FOLDER} is not S3"),
    "no XML": (Answer(200, b"<html><p>Hello</html>"), "failed while sending"),
    "not found": (Answer(404, b"<html>"), "(404: Not Found): check AWS_ENDPOINT_URL_S3"),
}


@pytest.mark.parametrize(
    ("request_", "answer", "expected"),
    [
        pytest.param(request_, answer, expected, id=f"{request_.__name__}-{name}")
        for requests, cases in (
            ((listing, reading), BOTH),
            ((reading,), OBJECTS),
            ((listing, listing_versions), LISTINGS),
        )
        for request_ in requests
        for name, (answer, expected) in cases.items()
    ],
)
def test_a_refusal_says_why_and_what_to_do(
    request_: Callable[[S3Client], object], answer: Answer, expected: str
) -> None:
    message = sentence(answer, request_)
    assert expected in message
    assert "\n" not in message


def test_a_listing_that_is_denied_names_the_permission() -> None:
    denied = error(403, "AccessDenied", "Access Denied")
    assert sentence(denied, listing).endswith(f"no permission to read {FOLDER}: grant s3:ListBucket")
    assert sentence(denied, listing_versions).endswith("grant s3:ListBucketVersions")


def test_a_service_without_versions_lists_its_objects() -> None:
    answer = error(501, "NotImplemented")
    answer.only_for_versions = True
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    with (
        answering(answer) as url,
        closing(boto3.client("s3", endpoint_url=url, config=CONFIG, **keys)) as client,  # type: ignore[call-overload]
    ):
        assert listing_versions(client) == [OBJECT]


def config_file(directory: Path, *lines: str) -> dict[str, str]:
    file = directory / "config"
    file.write_text("\n".join(lines))
    return {"AWS_CONFIG_FILE": f"{file}", "AWS_PROFILE": "agency"}


SSO = "[profile agency]", "sso_account_id = 111122223333", "sso_role_name = loader", "region = us-east-1"
SESSION = "[sso-session work]", "sso_region = us-east-1", "sso_start_url = https://work.example/start"
SETTINGS: Mapping[str, tuple[tuple[str, ...], Mapping[str, str], str]] = {
    "no SSO token": ((*SSO, "sso_session = work", *SESSION), {}, "run `aws sso login --profile agency`"),
    "no SSO token, older form": ((*SSO, *SESSION[1:]), {}, "run `aws sso login --profile agency`"),
    "no profile": ((), {}, "The config profile (agency) could not be found: correct AWS_PROFILE"),
    "failing process": (
        ("[profile agency]", "credential_process = /bin/false"),
        {},
        "could not be obtained (Error when retrieving credentials from custom-process",
    ),
    "no keys": (("[profile agency]", "region = us-east-1"), {}, "there are no AWS credentials"),
    "half the keys": (
        ("[profile agency]", "aws_access_key_id = test"),
        {},
        "incomplete (Partial credentials",
    ),
    "no URL": (
        ("[profile agency]",),
        {"AWS_ENDPOINT_URL_S3": "s3.example", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        "Invalid endpoint: s3.example; check AWS_ENDPOINT_URL_S3",
    ),
    "impossible region": (
        ("[profile agency]", "aws_access_key_id = a", "aws_secret_access_key = b"),
        {"AWS_DEFAULT_REGION": "eu west"},
        "correct AWS_DEFAULT_REGION",
    ),
    "no token file": (
        ("[profile agency]", "role_arn = arn:aws:iam::1:role/r", "web_identity_token_file = /nowhere"),
        {"AWS_DEFAULT_REGION": "us-east-1"},
        "/nowhere",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_wrong_settings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lines, env, expected = SETTINGS[name]
    for variable, value in {
        **config_file(tmp_path, *lines),
        "AWS_EC2_METADATA_DISABLED": "true",
        **env,
    }.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(S3Error) as raised, closing(connect_s3()) as client:
        list(list_objects(client, "drops", "ttd/"))
    message = str(raised.value)
    assert expected in message and "\n" not in message


STS: Mapping[str, tuple[Answer, str]] = {
    "not allowed": (
        error(403, "AccessDenied", f"{NOT_ALLOWED}sts:AssumeRole on resource: a"),
        "grant sts:AssumeRole",
    ),
    "expired": (
        error(403, "ExpiredToken", "The security token is expired"),
        "have expired (ExpiredToken): sign in",
    ),
    "unknown key": (error(403, "InvalidClientTokenId", "Invalid."), "correct AWS_ACCESS_KEY_ID"),
    "clock": (
        error(403, "SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2"),
        "clock of this machine",
    ),
    "another": (
        error(400, "MalformedPolicyDocument", "No."),
        "gives no credentials to read s3://drops/ttd/ (AssumeRole",
    ),
}


@pytest.mark.parametrize("name", STS)
def test_a_refusal_of_the_service_that_gives_credentials_is_not_mistaken_for_one_of_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    answer, expected = STS[name]
    answer.body = answer.body.replace(b"<Error>", b"<ErrorResponse><Error>").replace(
        b"</Error>", b"</Error></ErrorResponse>"
    )
    lines = ("[profile agency]", "role_arn = arn:aws:iam::111122223333:role/loader", "source_profile = keys")
    keys = ("[profile keys]", "aws_access_key_id = a", "aws_secret_access_key = b")
    for variable, value in config_file(tmp_path, *lines, "region = us-east-1", *keys).items():
        monkeypatch.setenv(variable, value)
    with answering(answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        with pytest.raises(S3Error) as raised, closing(connect_s3()) as client:
            list(list_objects(client, "drops", "ttd/"))
    assert expected in str(raised.value)


def test_an_sso_session_that_has_ended_asks_for_a_new_sign_in(tmp_path: Path) -> None:
    """In a process of its own, because botocore looks up the home directory when it is imported."""
    token = {
        "startUrl": "https://work.example/start",
        "region": "us-east-1",
        "accessToken": "token",
        "expiresAt": "2999-01-01T00:00:00Z",
    }
    cache = tmp_path / ".aws/sso/cache"
    cache.mkdir(parents=True)
    (cache / f"{hashlib.sha1(b'work').hexdigest()}.json").write_text(json.dumps(token))
    ended = Answer(401, b'{"message": "Session token not found or invalid"}')
    ended.headers = {"x-amzn-ErrorType": "UnauthorizedException", "Content-Type": "application/json"}
    script = (
        "from loader.ingestion.s3 import connect_s3, list_objects\n"
        "try:\n    list(list_objects(connect_s3(), 'drops', 'ttd/'))\n"
        "except Exception as error:\n    print(error)"
    )
    with answering(ended) as url:
        env = config_file(tmp_path, *SSO, "sso_session = work", *SESSION)
        env |= {"HOME": f"{tmp_path}", "AWS_ENDPOINT_URL_SSO": url, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
    assert done.stdout == (
        "the AWS sign-in that reads s3://drops/ttd/ has expired or is missing: run"
        " `aws sso login --profile agency`, then load again\n"
    )
