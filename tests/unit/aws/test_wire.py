"""The short way of a call sends what botocore would, to where botocore would, and takes answers as botocore does."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from ecr_audit.aws.session import WIRED, Clients
from ecr_audit.aws.wire import Wire

METHODS = {"ecr": "describe_repositories", "resourcegroupstaggingapi": "get_resources"}
SIGNING_NAMES = {"ecr": "ecr", "resourcegroupstaggingapi": "tagging"}
SESSION = ReadOnlyCredentials("ASIAEXAMPLE", "secret", "token/with+signs==")
USER = ReadOnlyCredentials("AKIAEXAMPLE", "secret", None)
NOW = datetime(2026, 11, 22, 2, 0, 5, tzinfo=UTC)
BODY = b'{"maxResults": 1000}'

PLACES = {
    "a default region": ("us-east-1", {}, "https://api.ecr.us-east-1.amazonaws.com"),
    "GovCloud": ("us-gov-west-1", {}, "https://api.ecr.us-gov-west-1.amazonaws.com"),
    "China": ("cn-north-1", {}, "https://api.ecr.cn-north-1.amazonaws.com.cn"),
    "FIPS": ("us-gov-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}, "https://api.ecr-fips.us-gov-east-1.amazonaws.com"),
    "dual stack": ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://ecr.eu-west-1.api.aws"),
    "an endpoint of one's own": ("us-east-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "http://127.0.0.1:4566"),
    "one with the port of its scheme": ("us-east-1", {"AWS_ENDPOINT_URL": "https://aws.test:443"}, "https://aws.test"),
    "one with a path": ("us-east-1", {"AWS_ENDPOINT_URL": "http://aws.test/ecr/"}, "http://aws.test"),
}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def wire_of(service, region="us-east-1"):
    return Clients(connections=2)._wire(service, region, METHODS[service])


@pytest.mark.parametrize("place", PLACES)
def test_it_signs_as_botocore_does(monkeypatch, place):
    region, environment, _ = PLACES[place]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)
    clients = Clients(connections=2)
    for service, credentials in itertools.product(WIRED, (USER, SESSION)):
        wire = clients._wire(service, region, METHODS[service])
        url = f"{wire._pool.scheme}://{wire._pool.host}:{wire._pool.port}{wire._target}"
        request = AWSRequest("POST", url, dict(wire._headers), BODY)
        botocore.auth.SigV4Auth(credentials, SIGNING_NAMES[service], region).add_auth(request)
        assert wire._signed(BODY, credentials, NOW) == dict(request.headers)


@pytest.mark.parametrize("place", PLACES)
def test_it_calls_the_endpoint_that_botocore_finds(monkeypatch, place):
    region, environment, endpoint = PLACES[place]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    wire = wire_of("ecr", region)
    assert f"{wire._pool.scheme}://{wire._host}" == endpoint
    assert wire._pool.ca_certs or wire._pool.scheme == "http"
    assert wire._headers["Content-Type"] == "application/x-amz-json-1.1"
    assert re.match(r"Boto3/\S+ md/Botocore#", wire._headers["User-Agent"])


def test_it_goes_through_a_proxy_as_botocore_does(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    wire = wire_of("ecr")
    assert (str(wire._pool.proxy), wire._target) == ("http://proxy.test:3128", "/")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.test")
    # A proxy of plain HTTP must be told the whole address.
    assert wire_of("ecr")._target == "http://aws.test/"
    monkeypatch.setenv("NO_PROXY", "aws.test")
    assert wire_of("ecr")._pool.proxy is None


@pytest.fixture
def answering(monkeypatch):
    """A server that gives each call one and the same answer: `wire = answering(status, body)`."""
    servers = []

    def start(status: int, body: bytes, length: int | None = None) -> Wire:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        return wire_of("ecr")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_answer_is_the_json_that_came(answering):
    wire = answering(200, b'{"repositories": [{"createdAt": 1.5}]}')
    assert wire.call({}, USER) == {"repositories": [{"createdAt": 1.5}]}
    wire._pool.close()


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, b'{"__type":"com.amazonaws#ThrottlingException","message":"slow"}', "ThrottlingException", "slow"),
        (400, b'{"__type":"ThrottledException","Message":"slow"}', "ThrottledException", "slow"),
        (503, b"<html><body>Service Unavailable</body></html>", "503", "Service Unavailable"),
        (302, b"", "302", ""),
    ],
)
def test_an_error_of_aws_is_the_error_that_botocore_makes_of_it(answering, status, body, code, message):
    wire = answering(status, body)
    with pytest.raises(ClientError) as caught:
        wire.call({}, USER)
    assert caught.value.response["Error"] == {"Code": code, "Message": message}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    wire._pool.close()


@pytest.mark.parametrize("body", [b"", b'{"repositories": [', b"[]", b"null", b"\xff"])
def test_what_is_no_json_object_is_no_answer(answering, body):
    wire = answering(200, body)
    with pytest.raises(ResponseParserError, match="describe_repositories was answered"):
        wire.call({}, USER)
    wire._pool.close()


def test_a_body_that_breaks_off_is_a_fault_of_the_way(answering):
    wire = answering(200, b'{"repositories": []}', length=1000)
    with pytest.raises(HTTPError):
        wire.call({}, USER)
    wire._pool.close()
