"""Says in one sentence why S3 could not be listed or read, and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

PROFILE = "the profile that AWS_PROFILE names"
CHECK = "check AWS_ENDPOINT_URL_S3, AWS_DEFAULT_REGION and"
ACCOUNT = (
    "S3 refuses {target} because of the AWS account that owns or reads it ({code}: {said}): its owner has to"
    " settle this with AWS Support"
)
BUSY = "S3 is too busy to send {target} ({code}): the next `media load` tries again"
CLOCK = "the clock of this machine is wrong (S3's is at {time}): correct it, then load again"
EXPIRED = (
    "the AWS credentials that read {target} have expired ({code}): sign in again (`aws sso login`), or renew"
    " the access key and AWS_SESSION_TOKEN, then load again"
)
FAILED = "S3 failed while sending {target} ({code}): the next `media load` tries again"
GONE = "{target} no longer exists: it was deleted after it was listed"
REGION = (
    "the bucket of {target} is in the region {region}: set AWS_DEFAULT_REGION={region}, and if"
    " AWS_ENDPOINT_URL_S3 is set, unset it or name that region's endpoint"
)
REPLACED = "{target} was replaced while being read: load again to get its new content"
REQUESTER_PAYS = (
    "the bucket of {target} is a Requester Pays bucket, which `media load` does not support: have its owner"
    " turn Requester Pays off, or copy the files to a bucket of yours"
)
UNKNOWN_KEY = (
    f"S3 does not know the access key that reads {{target}}: correct AWS_ACCESS_KEY_ID, or {PROFILE}"
)
KMS_KEY = (
    "the KMS key that encrypts {target} cannot be used ({code}: {said}): have the key enabled, or the object"
    " encrypted with another one"
)
SENDERS_KEY = (
    "{target} is encrypted with a key that S3 does not store (SSE-C), which `media load` does not support:"
    " have it delivered with another encryption"
)
BY_CODE: Mapping[str, str] = {
    **dict.fromkeys(("AccountProblem", "AllAccessDisabled", "InvalidPayer", "NotSignedUp"), ACCOUNT),
    **dict.fromkeys(("ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException"), BUSY),
    **dict.fromkeys(("RequestExpired", "RequestTimeTooSkewed"), CLOCK),
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"), EXPIRED),
    **dict.fromkeys(("InternalError", "RequestTimeout"), FAILED),
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion"), GONE),
    **dict.fromkeys(("InvalidRange", "PreconditionFailed"), REPLACED),
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidClientTokenId"), UNKNOWN_KEY),
    "InvalidBucketName": "the bucket of {target} has an impossible name: correct the location in feeds.yml",
    "InvalidObjectState": (
        "{target} is archived ({storage}): restore it, or remove it from the feed's location, then load again"
    ),
    "InvalidToken": (
        "S3 does not accept the session token that reads {target}: correct AWS_SESSION_TOKEN, or unset it if"
        " the access key needs none"
    ),
    "NoSuchBucket": (
        "{target} is in a bucket that does not exist: correct the location in feeds.yml, or"
        " AWS_ENDPOINT_URL_S3"
    ),
    "SignatureDoesNotMatch": (
        "the secret key that reads {target} does not belong to the access key: correct AWS_SECRET_ACCESS_KEY,"
        f" or {PROFILE}"
    ),
}
BY_STATUS: Mapping[int, str] = {
    **{404: GONE, 412: REPLACED, 416: REPLACED},
    **{429: BUSY, 500: FAILED, 502: FAILED, 503: BUSY, 504: FAILED},
}
DENIED = ("AccessDenied", "AccessDeniedException", "Forbidden", "403")
WRONG_REGION = (
    *("PermanentRedirect", "TemporaryRedirect", "Redirect", "301", "302", "307"),
    *("AuthorizationHeaderMalformed", "IllegalLocationConstraint", "IllegalLocationConstraintException"),
)
PERMISSIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "GetObject": "s3:GetObject",
}
NOT_S3 = "what answers the requests for {target} is not S3: correct AWS_ENDPOINT_URL_S3"
SIGN_IN = "the AWS sign-in that reads {target} has expired or is missing: run `%s{option}`, then load again"
NOT_OBTAINED = (
    f"the AWS credentials that read {{target}} could not be obtained ({{reason}}): correct {PROFILE}, or set"
    " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
BY_ERROR: Sequence[tuple[type[Exception], str]] = (
    (boto.SSOError, SIGN_IN % "aws sso login"),
    (boto.TokenRetrievalError, SIGN_IN % "aws sso login"),
    (boto.NoAuthTokenError, SIGN_IN % "aws sso login"),
    (boto.LoginError, SIGN_IN % "aws login"),
    (boto.CredentialRetrievalError, NOT_OBTAINED),
    (boto.MetadataRetrievalError, NOT_OBTAINED),
    (boto.InvalidConfigError, NOT_OBTAINED),
    (boto.ProfileNotFound, "{reason}: correct AWS_PROFILE, or add the profile to ~/.aws/config"),
    (
        boto.NoCredentialsError,
        "there are no AWS credentials to read {target}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
        " AWS_PROFILE",
    ),
    (
        boto.PartialCredentialsError,
        "the AWS credentials that read {target} are incomplete ({reason}): set what is missing",
    ),
    (boto.NoRegionError, "no AWS region is set to read {target}: set AWS_DEFAULT_REGION"),
    (boto.InvalidRegionError, "{reason}: correct AWS_DEFAULT_REGION"),
    (boto.ParamValidationError, "{target} is impossible ({reason}): correct the location in feeds.yml"),
    (
        boto.SSLError,
        "{target} could not be read, because the certificate of S3's endpoint is not trusted ({reason}): set"
        " AWS_CA_BUNDLE to the file with its authority's certificate, or correct AWS_ENDPOINT_URL_S3",
    ),
    (
        boto.ProxyConnectionError,
        "{target} could not be read through the proxy ({reason}): correct HTTPS_PROXY or HTTP_PROXY",
    ),
    (ResponseParserError, NOT_S3),
    (Exception, f"{{target}} could not be read: {{reason}}; {CHECK} the network"),
)
"""The sentence for each kind of error that is not an answer; the first that matches is used."""


def failure(error: Exception, target: str) -> str:
    """Returns the sentence for an error of the settings, the credentials or the network."""
    profile = os.environ.get("AWS_PROFILE")
    option = f" --profile {profile}" if profile else ""
    sentence = next(sentence for kind, sentence in BY_ERROR if isinstance(error, kind))
    return sentence.format(target=target, reason=_one_line(str(error)), option=option)


def refusal(error: boto.ClientError, target: str) -> str:
    """Returns the sentence for an error that S3, or the service that gives the credentials, answered."""
    answer, response = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    found = {name: str(value) for name, value in answer.items()}
    headers = {name.lower(): value for name, value in response.get("HTTPHeaders", {}).items()}
    values = {
        "target": target,
        "code": found.get("Code", ""),
        "said": _one_line(found.get("Message", "")),
        "storage": found.get("StorageClass", "archive storage"),
        "time": found.get("ServerTime") or headers.get("date", "another time"),
        "region": headers.get("x-amz-bucket-region") or found.get("Region") or _region_of(found),
    }
    sentence = _sentence(error.operation_name, response.get("HTTPStatusCode", 0), values)
    return sentence.format(**values)


def is_denied_without_a_reason(error: boto.ClientError) -> bool:
    """Returns whether S3 only says that access is denied, as it does for a Requester Pays bucket."""
    answer = error.response.get("Error", {})
    reason = re.search("authorized to perform|kms|requester", str(answer.get("Message", "")), re.IGNORECASE)
    return answer.get("Code") in DENIED and error.operation_name in PERMISSIONS and not reason


def _sentence(operation: str, status: int, values: Mapping[str, str]) -> str:
    code, said = values["code"], values["said"]
    if code in WRONG_REGION and values["region"]:
        return REGION
    if code == "SignatureDoesNotMatch" and re.search("expired|not yet current", said):
        return CLOCK
    if re.search("requester.?pays?", said, re.IGNORECASE):
        return REQUESTER_PAYS
    if code.startswith("KMS."):
        return KMS_KEY
    if code == "InvalidRequest" and "Server Side Encryption" in said:
        return SENDERS_KEY
    if code in BY_CODE:
        return BY_CODE[code]
    if code in DENIED:
        return _denial(operation, said)
    if operation not in PERMISSIONS:
        return (
            f"AWS gives no credentials to read {{target}} ({operation}: {{code}} {{said}}): correct {PROFILE}"
        )
    if status in BY_STATUS and (operation == "GetObject" or status != 404):
        return BY_STATUS[status]
    return f"S3 refused {{target}} ({{code}}: {{said}}): {CHECK} the other AWS_* settings, then load again"


def _denial(operation: str, said: str) -> str:
    """Returns the sentence for a missing permission, which newer messages of AWS name."""
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", said)
    action = named[1] if named else PERMISSIONS.get(operation, f"sts:{operation}")
    if not named and re.search("kms|ciphertext", said, re.IGNORECASE):
        action = "kms:Decrypt"
    if action.startswith("kms:"):
        return (
            "these AWS credentials may not use the KMS key that encrypts {target}:"
            f" grant {action} on that key, in the key's own policy too if another account owns it"
        )
    if not action.startswith("s3:"):
        missing = f"these AWS credentials may not get those that read {{target}}: grant {action}"
        return f"{missing}, or correct {PROFILE}"
    if policy := re.search(r"explicit deny in an? ([\w -]*policy)", said):
        return f"a {policy[1]} denies these AWS credentials {action} on {{target}}: have it changed"
    return f"these AWS credentials have no permission to read {{target}}: grant {action}"


def _region_of(answer: Mapping[str, str]) -> str:
    """Returns the region in the name of the endpoint that S3 redirects to; empty if there is none."""
    found = re.search(r"s3[.-]([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws", answer.get("Endpoint", ""))
    return found[1] if found else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:400].rstrip(". ")
