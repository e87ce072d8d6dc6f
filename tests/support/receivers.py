"""Servers of this machine that take what alerts send, over the real protocols: an HTTP one and an SMTP one."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import socketserver
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

# The secret part of the webhook's address.
WEBHOOK = "T000/B000/the-secret-of-the-webhook"


class _Receiver:
    """A server that runs while its block does."""

    _server: socketserver.TCPServer

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Http(_Receiver):
    """Takes posts to Slack and SNS, and answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(
                    b"<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>"
                )

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def connection(self) -> str:
        """An Airflow connection to it, as a webhook of Slack's."""
        return json.dumps({"conn_type": "slackwebhook", "host": f"http://127.0.0.1:{self.port}", "password": WEBHOOK})

    @property
    def slack(self) -> list[dict[str, Any]]:
        """The payloads, as Slack reads them."""
        return [json.loads(body) for body in self.bodies]

    @property
    def sns(self) -> list[dict[str, str]]:
        """The parameters of each Publish, as SNS reads them."""
        return [{name: values[0] for name, values in parse_qs(body.decode()).items()} for body in self.bodies]


class Smtp(_Receiver):
    """Takes mail as a mail server does (RFC 5321, 4954), without TLS, which a connection has to switch off."""

    def __init__(self) -> None:
        # Name and password of each login by AUTH PLAIN.
        self.logins: list[tuple[str, str]] = []
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 here")
                to: list[str] = []
                while command := self.rfile.readline().decode().strip():
                    verb = command.upper().partition(":")[0]
                    if verb.startswith("EHLO"):
                        self.say("250-here\r\n250 AUTH PLAIN")
                        continue
                    if verb.startswith("AUTH PLAIN"):
                        _, name, password = base64.b64decode(command[len("AUTH PLAIN ") :]).decode().split("\0")
                        receiver.logins.append((name, password))
                        self.say("235 welcome")
                        continue
                    if verb == "RCPT TO":
                        to.append(command[8:].strip("<>"))
                    if verb == "DATA":
                        self.say("354 go on")
                        lines = iter(self.rfile.readline, b".\r\n")
                        content = b"".join(line.removeprefix(b".") for line in lines)
                        receiver.recipients.append(to)
                        receiver.mails.append(email.message_from_bytes(content, policy=email.policy.default))
                    if verb == "QUIT":
                        self.say("221 bye")
                        return
                    self.say("250 ok")

            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
