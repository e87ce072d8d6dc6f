"""A short way for the calls that a scan makes by the hundred thousand: those of JSON services, which all look alike.

botocore works out anew at each call what is the same at all of them: endpoint, headers, connection pool, the shape of
the answer. That is three quarters of a call's CPU time, and all threads share one core. Here botocore prepares one
call, and every other is a copy of it with a body and a signature of its own, on the same connections. So partitions,
FIPS, proxies, CA bundles and `AWS_ENDPOINT_URL` are as botocore has them.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.model import Shape
from botocore.parsers import ResponseParserError, create_parser
from urllib3 import Retry

# calls.py repeats a call in its own time.
_NO_RETRIES = Retry(False)
_ERRORS = create_parser("json")
# The parser wants the shape of a result, which an error does not have.
_NO_SHAPE = Shape("Error", {"type": "structure"})


class Wire:
    """One operation of a JSON 1.1 service in one region. Thread-safe, as clients are."""

    def __init__(self, client: Any, method: str) -> None:
        """`client`: the botocore client whose endpoint and connections are used; `method`: as the client names it."""
        request = _rehearse(client, method)
        headers = {name: _text(value) for name, value in request.headers.items()}
        # Credential=<key id>/<date>/<region>/<service>/aws4_request
        self._scope = "/".join(headers["Authorization"].partition(",")[0].split("/")[2:])
        self._method = method
        self._headers = {name: headers[name] for name in ("Content-Type", "User-Agent", "X-Amz-Target")}
        # As botocore.httpsession.URLLib3Session.send does, which does it at each call.
        http = client._endpoint.http_session
        proxy = http._proxy_config.proxy_url_for(request.url)
        self._pool = http._get_connection_manager(request.url, proxy).connection_from_url(request.url)
        http._setup_ssl_cert(self._pool, request.url, http._verify)
        self._target = http._get_request_target(request.url, proxy)
        url = urlsplit(request.url)
        # As the header `Host` has it: without the port that its scheme implies.
        self._host = url.netloc.removesuffix({"https": ":443", "http": ":80"}[url.scheme])
        self._canonical_path = url.path

    def call(self, parameters: Mapping[str, Any], credentials: ReadOnlyCredentials) -> dict[str, Any]:
        """The answer as JSON has it: timestamps are seconds since 1970.

        Raises ClientError for an error of AWS, urllib3's HTTPError for one of the way to it, and ResponseParserError
        for an answer that is no JSON object.
        """
        body = json.dumps(parameters).encode()
        headers = self._signed(body, credentials, datetime.now(UTC))
        response = self._pool.urlopen("POST", self._target, body, headers, retries=_NO_RETRIES, assert_same_host=False)
        if response.status >= 300:
            answer = {"status_code": response.status, "headers": response.headers, "body": response.data}
            raise ClientError(_ERRORS.parse(answer, _NO_SHAPE), self._method)
        try:
            document = json.loads(response.data)
        except ValueError as error:
            raise ResponseParserError(f"{self._method} was answered with what is no JSON: {error}") from error
        if not isinstance(document, dict):
            raise ResponseParserError(f"{self._method} was answered with what is no JSON object")
        return document

    def _signed(self, body: bytes, credentials: ReadOnlyCredentials, now: datetime) -> dict[str, str]:
        """The headers of a request, with its Signature Version 4.

        Source: "Create a signed AWS API request", IAM User Guide; the names of the steps are the guide's.
        """
        timestamp = f"{now:%Y%m%dT%H%M%SZ}"
        headers = {**self._headers, "X-Amz-Date": timestamp}
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


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


class _Rehearsed(Exception):  # noqa: N818 - no error: it ends a call before it is sent
    """Carries the request that would have been sent."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__()
        self.request = request


def _rehearse(client: Any, method: str) -> AWSPreparedRequest:
    """The request that botocore makes of a call, caught on its way to the network."""

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        raise _Rehearsed(request)

    client.meta.events.register_last("before-send", catch)
    try:
        getattr(client, method)()
    except _Rehearsed as caught:
        return caught.request
    finally:
        client.meta.events.unregister("before-send", catch)
    raise AssertionError(f"{method} was not going to be sent")
