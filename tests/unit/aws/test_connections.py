"""Calls over real connections: shared ones, the way that botocore would go, and what can go wrong on it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import boto3
import pytest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError

from ecr_audit.aws import endpoints
from ecr_audit.aws.access import AwsAccess, aws_access, use_access
from ecr_audit.aws.connections import Connections
from ecr_audit.aws.session import CONNECT_SECONDS
from support.network import HERE, Authority, Proxy, TlsFront

USER = ReadOnlyCredentials("AKIAEXAMPLE", "secret", None)
WHOLE = b'{"repositories": []}'

# Fixtures; keywords are options of Server, or of TlsFront and Authority.
Serve = Callable[..., "Server"]
Front = Callable[..., AbstractContextManager[Authority]]


@pytest.fixture(autouse=True)
def no_proxy_and_no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


class Server:
    """Answers each call with one and the same, and remembers the requests and the connections they came by."""

    def __init__(self, body: bytes = WHOLE, length: int | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections: set[int] = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler) -> None:  # noqa: N805 - `self` is the server's
                handler.rfile.read(int(handler.headers["Content-Length"]))
                self.requests.append((handler.path, dict(handler.headers)))
                self.connections.add(handler.client_address[1])
                handler.send_response(200)
                handler.send_header("Content-Length", str(length or len(body)))
                handler.end_headers()
                handler.wfile.write(body)
                handler.close_connection = length is not None

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    servers: list[Server] = []

    def start(**options: Any) -> Server:
        servers.append(Server(**options))
        monkeypatch.setenv("AWS_ENDPOINT_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def describe(
    times: int = 1, regions: Sequence[str] = ("us-east-1",), connections: int = 2, access: AwsAccess | None = None
) -> list[Any]:
    """The repositories in the answers to as many calls in each region, all made at once."""

    async def main() -> list[Any]:
        async with Connections(access or aws_access(), connections) as clients:
            calls = [
                clients.call(USER, "ecr", region, "describe_repositories", {"maxResults": 1000})
                for region in regions
                for _ in range(times)
            ]
            return [answer["repositories"] for answer in await asyncio.gather(*calls)]

    return asyncio.run(main())


def test_connections_are_shared_and_no_more_than_may_be_open(serve: Serve) -> None:
    server = serve()
    assert describe(times=20, regions=("us-east-1", "eu-west-1"), connections=3) == [[]] * 40
    assert len(server.requests) == 40
    assert len(server.connections) <= 3


def test_a_request_has_only_the_headers_that_are_meant(serve: Serve) -> None:
    server = serve()
    describe()
    [(path, headers)] = server.requests
    signed = {"Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization"}
    assert (path, set(headers)) == ("/", {"Host", "User-Agent", "Content-Length", *signed})


def test_a_body_that_breaks_off_is_a_fault_of_the_network(serve: Serve) -> None:
    serve(length=1000)
    with pytest.raises(aiohttp.ClientError):
        describe()


def test_an_answer_that_does_not_come_is_a_fault_of_the_network(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "READ_SECONDS", 0.05)

    class Silent(asyncio.Protocol):
        pass

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with server, Connections(aws_access(), 1) as clients:
            await clients.call(USER, "ecr", "us-east-1", "describe_repositories", {})

    with pytest.raises(TimeoutError):
        asyncio.run(main())


def test_a_refused_connection_is_a_fault_of_the_network(serve: Serve) -> None:
    serve().close()
    with pytest.raises(aiohttp.ClientError):
        describe()


def test_a_proxy_of_the_environment_gets_the_whole_address(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve()
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://aws.test")
    describe()
    assert [path for path, _ in server.requests] == ["http://aws.test/"]
    monkeypatch.setenv("NO_PROXY", "aws.test")
    use_access(None)  # as another process would
    with pytest.raises(aiohttp.ClientError):
        describe()
    assert len(server.requests) == 1


LOGIN = ("CORP\\audit", "p@ss:w/o#rd")
WRITTEN = "CORP%5Caudit:p%40ss%3Aw%2Fo%23rd"


@pytest.fixture
def front(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Front:
    """Makes a server that speaks TLS, with a certificate of an authority that nobody trusts yet."""

    @contextmanager
    def start(*, asks_clients: bool = False, **how: Any) -> Iterator[Authority]:
        authority, server = Authority(tmp_path, **how), serve()
        with TlsFront(server.url, authority, asks_clients=asks_clients) as tls:
            monkeypatch.setenv("AWS_ENDPOINT_URL", tls.url)
            yield authority

    return start


def strict(make: Callable[..., ssl.SSLContext]) -> Callable[..., ssl.SSLContext]:
    """Python's default since 3.13, whatever Python this is."""

    def made(*given: Any, **options: Any) -> ssl.SSLContext:
        context = make(*given, **options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    return made


@pytest.mark.parametrize("written", ["{0}", "//{0}", "http://{0}", f"{WRITTEN}@{{0}}", f"http://{WRITTEN}@{{0}}"])
def test_a_proxy_is_the_one_that_botocore_reads(front: Front, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    with front() as authority, Proxy(LOGIN if "@" in written else None) as proxy:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
        monkeypatch.setenv("HTTPS_PROXY", written.format(proxy.address))
        assert describe(times=3, connections=1) == [[]] * 3
    assert [asked.split()[0] for asked in proxy.asked] == ["CONNECT"], "one connection, through which all went"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_a_fault_without_its_password(
    serve: Serve, front: Front, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with front() as authority, Proxy(("another", "login")) as proxy:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
        if scheme == "http":
            serve()
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"{WRITTEN}@{proxy.address}")
        with pytest.raises((aiohttp.ClientError, ClientError), match="407") as caught:
            describe()
    assert "p@ss" not in repr(caught.value) and "p%40ss" not in repr(caught.value)


def test_a_proxy_of_a_connection_comes_before_the_environments(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    with front() as authority, Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid:3128")
        proxies = Config(proxies={"https": proxy.address})
        describe(access=AwsAccess(boto3.Session(), proxies, str(authority.bundle)))
    assert proxy.asked


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("plain", [False, True])
def test_the_certificates_of_botocore_are_trusted(
    front: Front, monkeypatch: pytest.MonkeyPatch, variable: str, plain: bool
) -> None:
    """`plain`: by certificates that Python itself refuses since 3.13."""
    monkeypatch.setattr(ssl, "create_default_context", strict(ssl.create_default_context))
    with front(plain=plain) as authority:
        monkeypatch.setenv(variable, str(authority.bundle))
        assert describe() == [[]]


def test_nobody_else_is_trusted(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with front() as authority:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            describe()
        assert describe(access=AwsAccess(boto3.Session(), verify=False)) == [[]]
        # Also not whom it trusts, when it calls itself by another name.
        monkeypatch.setenv("AWS_ENDPOINT_URL", os.environ["AWS_ENDPOINT_URL"].replace(HERE, "localhost"))
        with pytest.raises(aiohttp.ClientConnectorCertificateError, match="localhost"):
            describe(access=AwsAccess(boto3.Session(), verify=str(authority.bundle)))


def test_a_certificate_of_ones_own_is_shown(front: Front) -> None:
    with front(asks_clients=True) as authority:
        with pytest.raises(aiohttp.ClientError):
            describe(access=AwsAccess(boto3.Session(), verify=str(authority.bundle)))
        shown = Config(client_cert=str(authority.client))
        assert describe(access=AwsAccess(boto3.Session(), shown, str(authority.bundle))) == [[]]


def test_a_bundle_is_read_only_for_tls(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve()
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/bundle.pem")
    assert describe() == [[]]


def test_a_connection_sets_the_endpoint_and_the_timeouts(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    there = serve()
    serve()  # the environment's
    access = AwsAccess(boto3.Session(), Config(read_timeout=90), endpoint_urls={"": there.url})
    describe(access=access)
    assert len(there.requests) == 1
    timeout = access.endpoints.learn("ecr", "us-east-1", "describe_repositories", {}).timeout
    assert (timeout.sock_connect, timeout.sock_read, timeout.total) == (CONNECT_SECONDS, 90, 95)


def test_one_client_of_a_service_serves_all_regions_and_later_connections(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    made: list[str] = []
    access = aws_access()
    client = type(access).client

    def counted(self: AwsAccess, service: str, *arguments: Any, **keys: Any) -> Any:
        made.append(service)
        return client(self, service, *arguments, **keys)

    monkeypatch.setattr(type(access), "client", counted)
    for regions in (("us-east-1", "eu-west-1"), ("eu-west-1", "cn-north-1")):
        describe(regions=regions)
    assert made == ["ecr"]
    scopes = [headers["Authorization"].split("/")[2] for _, headers in server.requests]
    assert sorted(scopes) == ["cn-north-1", "eu-west-1", "eu-west-1", "us-east-1"]


@pytest.mark.parametrize("region", ["us-east-1", "me-south-1"])
def test_tokens_come_from_a_regional_endpoint_in_any_environment(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    """Those of the global endpoint are not valid in opt-in regions, which would pass for disabled ones."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")
    role = {"RoleArn": "a" * 20, "RoleSessionName": "test"}
    way = aws_access().endpoints.learn("sts", region, "assume_role", role)
    assert way.url.host == f"sts.{region}.amazonaws.com"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "us-gov-west-1"}, "us-gov-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-2"}, "eu-west-1"),
        ({"AWS_REGION": " ", "AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2"),
    ],
)
def test_s3_and_the_hub_are_reached_in_the_region_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (aws_access().region, aws_access().s3.meta.region_name) == (region, region)
