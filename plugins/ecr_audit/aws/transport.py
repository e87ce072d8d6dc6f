"""The transport: signs requests and reads responses, by the hundred thousand.

botocore computes at each call what is the same for all of them: endpoint, headers, the shape of the response. Here
it prepares one call, and every other is a copy of it with a body and a signature of its own. So partitions, FIPS and
`AWS_ENDPOINT_URL` are as botocore has them.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.parsers import ResponseParserError, ResponseParserFactory
from botocore.serialize import create_serializer

from ecr_audit.aws.answers import quoted, timestamp

# The parser wants the shape of a result, which an error does not have.
_NO_SHAPE = Shape("Error", {"type": "structure"})
# Headers that signing and the connection add at each call.
PER_CALL_HEADERS = frozenset({"authorization", "x-amz-date", "x-amz-security-token", "content-length", "connection"})


class Transport:
    """One operation of a service in one region: knows the requests and answers, but no connection."""

    def __init__(self, client: Any, method: str, parameters: Mapping[str, Any], region: str | None = None) -> None:
        """`client`: the botocore client to learn from; `method`: as the client names it; `parameters`: of any call.

        `region`: another one than the client's, whose endpoint is the one that a client of that region would have.
        """
        request = rehearse(client, method, parameters, region)
        headers = {name: header_text(value) for name, value in request.headers.items()}
        # Credential=<key id>/<date>/<region>/<service>/aws4_request
        scope = headers["Authorization"].partition(",")[0].split("/")[2:]
        # The client's own region stands there unless the service's endpoint names one.
        if region and scope[0] == client.meta.region_name:
            scope[0] = region
        self._scope = "/".join(scope)
        self._method = method
        self.headers = {name: value for name, value in headers.items() if _is_sent(name)}
        self.url = request.url
        url = urlsplit(request.url)
        # As the header `Host` has it: without the port that its scheme implies.
        self._host = url.netloc.removesuffix({"https": ":443", "http": ":80"}[url.scheme])
        self._canonical_path = url.path
        service = client.meta.service_model
        operation = service.operation_model(client.meta.method_to_api_mapping[method])
        parsers = ResponseParserFactory()
        parsers.set_parser_defaults(timestamp_parser=_time_or_none)
        parser = parsers.create_parser(service.resolved_protocol)
        self._parse: Callable[[dict[str, Any], Shape], dict[str, Any]] = parser.parse
        self._output = operation.output_shape
        # In the operations of REST services that are called here, all parameters are in the body.
        self._is_json = service.resolved_protocol in ("json", "rest-json")
        self._query = create_serializer(service.resolved_protocol, include_validation=False).serialize_to_request
        self._operation = operation

    def request(self, parameters: Mapping[str, Any], credentials: ReadOnlyCredentials) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a call, signed now."""
        if self._is_json:
            body = json.dumps(parameters).encode()
        else:
            body = urlencode(self._query(parameters, self._operation)["body"]).encode()
        return body, self.signed(body, credentials, datetime.now(UTC))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """AWS's response. For a JSON service it is the JSON unchanged; else as botocore parses it, times that it
        cannot parse being None.

        Raises ClientError for an error of AWS, and ResponseParserError for whatever cannot be read.
        """
        if status >= 300:
            # A refusal with broken letters in its message is a refusal.
            body = body.decode(errors="replace").encode()
        raw = {"status_code": status, "headers": headers, "body": body}
        try:
            if status >= 300:
                answer: Any = ClientError(self._parse(raw, _NO_SHAPE), self._method)  # type: ignore[arg-type]  # a plain dict
            else:
                answer = json.loads(body) if self._is_json else self._parse(raw, self._output)
        # botocore's parsers raise anything for documents that are not of the form that they expect.
        except Exception as fault:
            raise ResponseParserError(
                f"{self._method} returned (HTTP status {status}) an unreadable body: {fault!r}"
            ) from fault
        if isinstance(answer, ClientError):
            raise answer
        if not isinstance(answer, dict):
            raise ResponseParserError(f"{self._method} returned {quoted(answer)}, which is not a JSON object")
        if self._is_json:
            # As botocore has it for each protocol; the other parsers have put it there.
            answer["ResponseMetadata"] = {"RequestId": headers.get("x-amzn-requestid")}
        return answer

    def signed(self, body: bytes, credentials: ReadOnlyCredentials, now: datetime) -> dict[str, str]:
        """The headers of a request, with its Signature Version 4.

        Source: "Create a signed AWS API request", IAM User Guide; the names of the steps are the guide's.
        """
        timestamp = f"{now:%Y%m%dT%H%M%SZ}"
        headers = {**self.headers, "X-Amz-Date": timestamp}
        if credentials.token:
            headers["X-Amz-Security-Token"] = credentials.token
        signed = {name.lower(): value for name, value in headers.items() if name != "User-Agent"}
        signed["host"] = self._host
        names = sorted(signed)
        signed_headers = ";".join(names)
        canonical_headers = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical_request = "\n".join(
            ("POST", self._canonical_path, "", canonical_headers, signed_headers, sha256(body).hexdigest())
        )
        scope = f"{timestamp[:8]}/{self._scope}"
        string_to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{sha256(canonical_request.encode()).hexdigest()}"
        key = f"AWS4{credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, string_to_sign.encode(), "sha256").hex()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={signed_headers}, Signature={signature}"
        )
        return headers


def _is_sent(name: str) -> bool:
    # `amz-sdk-*` are for botocore's own retries.
    return name.lower() not in PER_CALL_HEADERS and not name.lower().startswith("amz-sdk-")


def _time_or_none(value: object) -> datetime | None:
    try:
        return timestamp(value)
    except ValueError:
        return None


def header_text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


class _Rehearsed(Exception):  # noqa: N818 - no error: it ends a call before it is sent
    """Carries the request that would have been sent."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


def rehearse(client: Any, method: str, parameters: Mapping[str, Any], region: str | None = None) -> AWSPreparedRequest:
    """The request that botocore makes of a call, caught on its way to the network.

    `region`: where it goes instead of the client's region. It is still signed for that one.
    """

    def redirect(builtins: dict[str, Any], **_: Any) -> None:
        builtins["AWS::Region"] = region or client.meta.region_name

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        raise _Rehearsed(request)

    client.meta.events.register("before-endpoint-resolution", redirect)
    client.meta.events.register_last("before-send", catch)
    try:
        getattr(client, method)(**parameters)
    except _Rehearsed as caught:
        return caught.request
    finally:
        client.meta.events.unregister("before-send", catch)
        client.meta.events.unregister("before-endpoint-resolution", redirect)
    raise AssertionError(f"{method} was not to be sent")
