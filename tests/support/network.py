"""The network between a company's machines and AWS: a proxy, and an authority whose certificates stand in for AWS's."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ipaddress
import ssl
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = "127.0.0.1"


class Authority:
    """A throwaway certificate authority, and a certificate of it for this machine's address.

    `plain`: as old company software makes certificates, without an authority key identifier, which RFC 5280 asks for.
    """

    def __init__(self, folder: Path, *, plain: bool = False) -> None:
        self.bundle = folder / "authority.pem"
        self.server, self.client = folder / "server.pem", folder / "client.pem"
        key, name = ec.generate_private_key(ec.SECP256R1()), _name("Company authority")
        authority = (
            _builder(name, name, key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_KEY_USAGE, critical=True)
            .sign(key, hashes.SHA256())
        )
        self.bundle.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        for path in (self.server, self.client):
            own = ec.generate_private_key(ec.SECP256R1())
            builder = _builder(_name("aws"), name, own).add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))]), critical=False
            )
            if not plain:
                known = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
                builder = builder.add_extension(known, critical=False)
            encoded = own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + encoded)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


class _Server:
    """A server that runs while its block does, in a thread of its own."""

    _tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self._serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        started: Future[int] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)), daemon=True)
        self._thread.start()
        self.port = started.result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _main(self, started: Future[int]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, HERE, 0, ssl=self._tls)
        started.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        # Who connects may leave at any moment, and so may the server.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            async with _closing(writer):
                await self.serve(reader, writer)
        self._serving.discard(task)


class TlsFront(_Server):
    """Speaks TLS before a server of this machine that does not. `asks_clients`: for a certificate of the authority."""

    def __init__(self, url: str, authority: Authority, *, asks_clients: bool = False) -> None:
        super().__init__()
        self._behind = int(url.rpartition(":")[2])
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(authority.server)
        if asks_clients:
            self._tls.verify_mode = ssl.CERT_REQUIRED
            self._tls.load_verify_locations(authority.bundle)

    @property
    def url(self) -> str:
        return f"https://{HERE}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _tunnel(reader, writer, *await asyncio.open_connection(HERE, self._behind))


class Proxy(_Server):
    """A proxy of HTTP: tunnels CONNECT requests, forwards the others. `login`: the user and password it asks for.

    `asked` has the first line of every request to it, which names where to.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._login = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}" if login else None

    @property
    def address(self) -> str:
        """As people write it who leave the scheme out."""
        return f"{HERE}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
        self.asked.append(line)
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        if self._login and headers.get("proxy-authorization") != self._login:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, version = line.split(" ")
        place = urlsplit(f"//{target}" if method == "CONNECT" else target)
        behind = await asyncio.open_connection(place.hostname, place.port or 80)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            # One request a connection: the next may be for elsewhere.
            own = f"{method} {urlunsplit(('', '', place.path or '/', place.query, ''))} {version}"
            kept = [field for field in fields if not field.lower().startswith(("proxy-", "connection:"))]
            behind[1].write("\r\n".join([own, *kept, "Connection: close", "", ""]).encode("latin-1"))
        await _tunnel(reader, writer, *behind)


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    their_reader: asyncio.StreamReader,
    their_writer: asyncio.StreamWriter,
) -> None:
    """Carry bytes both ways until one side has no more."""
    async with _closing(their_writer):
        ways = [asyncio.create_task(_copy(reader, their_writer)), asyncio.create_task(_copy(their_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while read := await source.read(65536):
            sink.write(read)
            await sink.drain()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
