"""Calls over real connections: shared ones, the way that botocore would go, and what can go wrong on it."""

from __future__ import annotations

import asyncio
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aiohttp
import pytest
from botocore.credentials import ReadOnlyCredentials

from ecr_audit.aws import clients as clients_module
from ecr_audit.aws.clients import Clients

USER = ReadOnlyCredentials("AKIAEXAMPLE", "secret", None)
WHOLE = b'{"repositories": []}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Server:
    """Answers each call with one and the same, and remembers the requests and the connections they came by."""

    def __init__(self, body: bytes = WHOLE, length: int | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections: set[int] = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler):  # noqa: N805 - `self` is the server's
                handler.rfile.read(int(handler.headers["Content-Length"]))
                self.requests.append((handler.path, dict(handler.headers)))
                self.connections.add(handler.client_address[1])
                handler.send_response(200)
                handler.send_header("Content-Length", str(length or len(body)))
                handler.end_headers()
                handler.wfile.write(body)
                handler.close_connection = length is not None

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def serve(monkeypatch):
    servers = []

    def start(**options) -> Server:
        servers.append(Server(**options))
        monkeypatch.setenv("AWS_ENDPOINT_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def describe(times=1, regions=("us-east-1",), connections=2):
    """The answers to as many calls in each region, all made at once."""

    async def main():
        async with Clients(connections) as clients:
            calls = [
                clients.call(USER, "ecr", region, "describe_repositories", {"maxResults": 1000})
                for region in regions
                for _ in range(times)
            ]
            return await asyncio.gather(*calls)

    return asyncio.run(main())


def test_connections_are_shared_and_no_more_than_may_be_open(serve):
    server = serve()
    assert describe(times=20, regions=("us-east-1", "eu-west-1"), connections=3) == [{"repositories": []}] * 40
    assert len(server.requests) == 40
    assert len(server.connections) <= 3


def test_a_request_has_only_the_headers_that_are_meant(serve):
    server = serve()
    describe()
    [(path, headers)] = server.requests
    signed = {"Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization"}
    assert (path, headers.keys()) == ("/", {"Host", "User-Agent", "Content-Length", *signed})


def test_a_body_that_breaks_off_is_a_fault_of_the_way(serve):
    serve(length=1000)
    with pytest.raises(aiohttp.ClientError):
        describe()


def test_an_answer_that_does_not_come_is_a_fault_of_the_way(serve, monkeypatch):
    monkeypatch.setattr(clients_module, "READ_SECONDS", 0.05)

    class Silent(asyncio.Protocol):
        pass

    async def main():
        server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server, Clients(1) as clients:
            await clients.call(USER, "ecr", "us-east-1", "describe_repositories", {})

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_where_nobody_listens_is_a_fault_of_the_way(serve):
    serve().close()
    with pytest.raises(aiohttp.ClientError):
        describe()


def test_a_proxy_of_the_environment_is_told_the_whole_address(serve, monkeypatch):
    server = serve()
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.test")
    describe()
    assert [path for path, _ in server.requests] == ["http://aws.test/"]
    monkeypatch.setenv("NO_PROXY", "aws.test")
    with pytest.raises(aiohttp.ClientError):
        describe()
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_bundle_of_the_environment_says_whom_to_trust(tmp_path, monkeypatch, name):
    for other in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(other, raising=False)
    assert len(Clients(1)._tls().get_ca_certs()) > 50
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(ssl.DER_cert_to_PEM_cert(Clients(1)._tls().get_ca_certs(binary_form=True)[0]))
    monkeypatch.setenv(name, str(bundle))
    assert len(Clients(1)._tls().get_ca_certs()) == 1


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1", "me-south-1"])
def test_tokens_come_from_a_regional_endpoint_whatever_the_environment_says(monkeypatch, region):
    """Those of the global endpoint are not valid in opt-in regions, which would pass for disabled ones."""
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    _, url, _ = Clients(1)._rehearse("sts", region, "assume_role", {"RoleArn": "a" * 20, "RoleSessionName": "test"})
    assert url.host == f"sts.{region}.amazonaws.com"
