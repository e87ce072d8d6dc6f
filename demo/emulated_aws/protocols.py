"""How AWS's JSON 1.1, Query, EC2 and REST JSON protocols carry a call, an answer and an error.

Source: https://smithy.io/2.0/aws/protocols/ (awsJson1_1, awsQuery, ec2Query, restJson1).
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape

from demo.emulated_aws.identities import Caller, Identities
from demo.emulated_aws.world import World

JSON, QUERY, EC2_QUERY, REST_JSON = "json", "query", "ec2", "rest-json"

# The header of REST JSON that names an error.
ERROR_HEADER = "x-amzn-ErrorType"

# The operations of services that have a path for each.
_PATHS = {"/findings/import": "BatchImportFindings"}


class AwsError(Exception):
    """AWS's response instead of a result: an error code, a message and an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Refusal(NamedTuple):
    """An error that is not raised yet: the arguments of an `AwsError`."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Service:
    """How one service speaks: its protocol and the names of its general errors.

    `unknown_key` and `expired_key` are what it answers to credentials that it does not know, or no longer.
    """

    protocol: str
    xml_namespace: str
    throttled: Refusal
    failed: str
    unknown_key: Refusal
    expired_key: Refusal
    # Organizations spells the member that holds an error's text with a capital letter.
    message_member: str = "message"


_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105 -- a message
_EXPIRED_TOKEN = "The security token included in the request is expired"  # noqa: S105 -- a message
_JSON_UNKNOWN_KEY = Refusal("UnrecognizedClientException", _INVALID_TOKEN)
_JSON_EXPIRED_KEY = Refusal("ExpiredTokenException", _EXPIRED_TOKEN)

# By the signing name in the credential scope.
SERVICES = {
    "sts": Service(
        QUERY,
        "https://sts.amazonaws.com/doc/2011-06-15/",
        throttled=Refusal("Throttling", "Rate exceeded"),
        failed="InternalFailure",
        unknown_key=Refusal("InvalidClientTokenId", _INVALID_TOKEN, 403),
        expired_key=Refusal("ExpiredToken", _EXPIRED_TOKEN, 403),
    ),
    "ec2": Service(
        EC2_QUERY,
        "http://ec2.amazonaws.com/doc/2016-11-15/",
        throttled=Refusal("RequestLimitExceeded", "Request limit exceeded.", 503),
        failed="InternalError",
        unknown_key=Refusal("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
        expired_key=Refusal("RequestExpired", "Request has expired."),
    ),
    "ecr": Service(
        JSON,
        "",
        throttled=Refusal("ThrottlingException", "Rate exceeded"),
        failed="ServerException",
        unknown_key=_JSON_UNKNOWN_KEY,
        expired_key=_JSON_EXPIRED_KEY,
    ),
    "kms": Service(
        JSON,
        "",
        throttled=Refusal(
            "ThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
        ),
        failed="KMSInternalException",
        unknown_key=_JSON_UNKNOWN_KEY,
        expired_key=_JSON_EXPIRED_KEY,
    ),
    "organizations": Service(
        JSON,
        "",
        throttled=Refusal("TooManyRequestsException", "Rate exceeded"),
        failed="ServiceException",
        unknown_key=_JSON_UNKNOWN_KEY,
        expired_key=_JSON_EXPIRED_KEY,
        message_member="Message",
    ),
    "tagging": Service(
        JSON,
        "",
        throttled=Refusal("ThrottledException", "Rate exceeded"),
        failed="InternalServiceException",
        unknown_key=_JSON_UNKNOWN_KEY,
        expired_key=_JSON_EXPIRED_KEY,
        message_member="Message",
    ),
    "securityhub": Service(
        REST_JSON,
        "",
        throttled=Refusal("TooManyRequestsException", "Too Many Requests", 429),
        failed="InternalException",
        unknown_key=Refusal(*_JSON_UNKNOWN_KEY[:2], 403),
        expired_key=Refusal(*_JSON_EXPIRED_KEY[:2], 403),
        message_member="Message",
    ),
}


@dataclass(slots=True)
class Call:
    """One call, understood: who asks which service for what, in which region.

    `parameters` are the members of the JSON body, or the form's fields (all strings) of a query service.
    """

    world: World
    identities: Identities
    caller: Caller
    service: str
    operation: str
    region: str
    parameters: dict[str, Any]

    @property
    def account_id(self) -> str:
        """The account of the caller, which is the one that ECR, the tagging API and KMS answer about."""
        return self.caller.account_id


def credential_scope(authorization: str) -> tuple[str, str, str]:
    """Return (access key id, region, service) of an `Authorization` header of Signature Version 4."""
    _, _, credential = authorization.partition("Credential=")
    parts = credential.partition(",")[0].split("/")
    if len(parts) != 5:
        raise AwsError("IncompleteSignature", "Authorization header requires 'Credential' parameter.")
    return parts[0], parts[2], parts[3]


def parse_call(service: Service, target: str, path: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the operation and its parameters, from a request's `X-Amz-Target` header or its path, and its body."""
    if service.protocol in (JSON, REST_JSON):
        operation = target.rpartition(".")[2] if service.protocol == JSON else _PATHS.get(path, path)
        try:
            return operation, json.loads(body) if body else {}
        except ValueError:
            raise AwsError("SerializationException", "") from None
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return form.get("Action", ""), form


def render_answer(service: Service, operation: str, answer: Any, request_id: str) -> bytes:
    """Render what an operation returned: a JSON document, or the inner XML of a query service's result."""
    if service.protocol in (JSON, REST_JSON):
        return answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode()
    if service.protocol == EC2_QUERY:
        inner = f"<requestId>{request_id}</requestId>{answer}"
    else:
        inner = (
            f"<{operation}Result>{answer}</{operation}Result>"
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        )
    return f'<{operation}Response xmlns="{service.xml_namespace}">{inner}</{operation}Response>'.encode()


def render_error(service: Service, error: AwsError, request_id: str) -> bytes:
    """Render an error as the service would."""
    if service.protocol == REST_JSON:
        return json.dumps({service.message_member: error.message, "Code": error.code}).encode()
    if service.protocol == JSON:
        return json.dumps({"__type": error.code, service.message_member: error.message}).encode()
    code, message = escape(error.code), escape(error.message)
    if service.protocol == EC2_QUERY:
        inner = f"<Code>{code}</Code><Message>{message}</Message>"
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>{inner}</Error></Errors>'
            f"<RequestID>{request_id}</RequestID></Response>"
        ).encode()
    kind = "Sender" if error.status < 500 else "Receiver"
    return (
        f'<ErrorResponse xmlns="{service.xml_namespace}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def new_request_id() -> str:
    """Return a fresh id, of the form that AWS gives every request."""
    return str(uuid4())


def page_token(operation: str, offset: int) -> str:
    """Return an opaque token for the page of a listing that starts at `offset`."""
    return base64.urlsafe_b64encode(f"{operation}:{offset}".encode()).decode()


def page_offset(operation: str, token: str | None) -> int | None:
    """Return where the page of a token starts, 0 without a token, None for a token that `operation` never gave."""
    if not token:
        return 0
    try:
        name, _, offset = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except (binascii.Error, UnicodeError):
        return None
    return int(offset) if name == operation and offset.isdecimal() else None
