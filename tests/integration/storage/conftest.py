"""An emulated S3 (moto's) over HTTP that is as strict, and as late, as S3 and its like can be."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from ecr_audit.lake.s3 import S3

BUCKET, REGION = "audit-store", "eu-south-1"
KEY = "arn:aws:kms:eu-south-1:111111111111:key/11111111-2222-3333-4444-555555555555"

_WRONG_REGION = b"<Error><Code>PermanentRedirect</Code><Message>The bucket is elsewhere</Message></Error>"
_DENIED = b"<Error><Code>AccessDenied</Code><Message>The bucket policy asks for encryption</Message></Error>"


class EmulatedS3:
    """The bucket BUCKET in REGION, and what its owner may have set."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        # Those of each request that began to write an object, by key.
        self.encryption: dict[str, tuple[str | None, str | None]] = {}
        # A bucket policy as many have it: deny what comes without an encryption header.
        self.asks_for_encryption = False
        self._listed: str | None = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        method, query = environ["REQUEST_METHOD"], environ["QUERY_STRING"]
        if bucket == BUCKET and f"/{REGION}/s3/" not in environ.get("HTTP_AUTHORIZATION", ""):
            start_response("301 Moved Permanently", [("x-amz-bucket-region", REGION)])
            return [] if method == "HEAD" else [_WRONG_REGION]
        begins_to_write = key and ((method == "PUT" and "partNumber" not in query) or "uploads" in query)
        if bucket == BUCKET and begins_to_write:
            reported = environ.get("HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION")
            if self.asks_for_encryption and reported is None:
                start_response("403 Forbidden", [])
                return [_DENIED]
            self.encryption[key] = reported, environ.get("HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID")
        if bucket == BUCKET and "list-type=2" in query and self._listed:
            environ["PATH_INFO"] = f"/{self._listed}"
            for name in ("RAW_URI", "REQUEST_URI"):
                environ[name] = f"/{self._listed}?{query}"
        return self._application(environ, start_response)  # type: ignore[no-any-return]  # moto does not type it

    def all_keys(self) -> set[str]:
        """The keys of all objects, also while listings are late."""
        listed, self._listed = self._listed, None
        pages = boto3.client("s3", region_name=REGION).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = {item["Key"] for page in pages for item in page.get("Contents", ())}
        self._listed = listed
        return found

    def stop_listing(self) -> None:
        """From now on listings show what there is at this moment, whatever is written and removed."""
        client, shown = boto3.client("s3", region_name=REGION), "as-it-was"
        client.create_bucket(Bucket=shown, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in self.all_keys():
            client.copy_object(Bucket=shown, Key=key, CopySource={"Bucket": BUCKET, "Key": key})
        self._listed = shown

    def list_again(self) -> None:
        """Listings show what there is."""
        self._listed = None


class Killed(BaseException):
    """Ends the program at a point of the test's choosing."""


class DyingPuts:
    """S3's puts, of which only `left` take place: at the next one the program dies."""

    left = 0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put = S3.put

        def dying(place: S3, local: Path, name: str) -> None:
            if self.left == 0:
                raise Killed
            self.left -= 1
            put(place, local, name)

        monkeypatch.setattr(S3, "put", dying)


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedS3]:
    """The emulated S3, found by whoever follows the environment, whose own region is another."""
    s3 = EmulatedS3()
    server = make_server("127.0.0.1", 0, s3, threaded=True, request_handler=_Silent)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        # moto has one S3 a process.
        urllib.request.urlopen(f"{endpoint}/moto-api/reset", data=b"").close()
        location = {"LocationConstraint": REGION}
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=location)
        yield s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
