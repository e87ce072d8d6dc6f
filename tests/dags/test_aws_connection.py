"""The Airflow connection to AWS: its settings, refused fields, and a night for which it has the only keys."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

import ecr_audit
from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.emulated_aws.server import EmulatedAws
from ecr_audit import own_process
from ecr_audit.aws.access import AwsAccess, aws_access, use_access
from ecr_audit.doctor import Status, examine
from ecr_audit.publish.publication import PublicationError
from ecr_audit.publish.store import newest
from ecr_audit.settings import SettingsError, load_settings
from ecr_audit_airflow.aws_connection import EXTRAS, connect_hub, connection_access, use_connection
from support.network import Authority, TlsFront

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

KEYS = {"login": HUB_ACCESS_KEY_ID, "password": HUB_SECRET_ACCESS_KEY}

Connect = Callable[..., None]


def key_of(access: AwsAccess) -> str | None:
    credentials = access.session.get_credentials()
    assert credentials is not None
    return credentials.access_key


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings and no other way to AWS: no keys, no profile, no metadata service."""
    for name in list(os.environ):
        if name.startswith(("ECR_AUDIT_", "AWS_", "REQUESTS_CA")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Gives Airflow the connection that the settings name: its extras, and other fields of it."""

    def give(extra: dict[str, Any] | str | None = None, **fields: Any) -> None:
        connection = {"conn_type": "aws", **KEYS, **fields, "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_HUB", json.dumps(connection))
        monkeypatch.setenv("ECR_AUDIT_AWS_CONN_ID", "aws_hub")

    return give


def taken() -> AwsAccess:
    access = connection_access()
    assert access is not None
    return access


def test_without_the_setting_there_is_none() -> None:
    assert connection_access() is None


def test_an_unknown_connection_is_an_error(monkeypatch: pytest.MonkeyPatch, airflow_database: None) -> None:
    monkeypatch.setenv("ECR_AUDIT_AWS_CONN_ID", "nowhere")
    with pytest.raises(AirflowNotFoundException, match="nowhere"):
        connect_hub()


@pytest.mark.parametrize(
    ("fields", "extra", "reported"),
    [
        ({"conn_type": "postgres"}, {}, "it is of type postgres, not aws"),
        (
            {"host": "localhost", "port": 4566},
            {},
            "host: not used by Airflow's hook for AWS; give the extra \"endpoint_",
        ),
        ({}, {"external_id": "sesame"}, 'external_id: not used .* "assume_role_kwargs": {"ExternalId"'),
        (
            {},
            {"s3_config_file": "/x", "profile": "a"},
            'profile: not used .* "profile_name"\n  s3_config_file: not used',
        ),
        ({"password": None}, {}, "login and password: an access key and its secret key, give both or none"),
        ({}, {"session_kwargs": {"profile_name": "a"}}, "session_kwargs.profile_name: not used"),
        ({"login": None, "password": None}, {"aws_access_key_id": "a"}, "aws_secret_access_key: missing"),
        ({"login": None, "password": None}, {"session_kwargs": {"aws_session_token": "a"}}, "access_key_id: missing"),
        ({}, {"assume_role_kwargs": {"ExternalId": "a"}}, "assume_role_kwargs: not used without role_arn"),
        ({}, {"verify": "/no/bundle.pem"}, "verify: '/no/bundle.pem' is not a file on this machine"),
        ({}, {"verify": "false"}, "verify: 'false' is not a file .* true or false without quotes"),
        ({}, {"config_kwargs": '{"read_timeout": 3}'}, "config_kwargs: give JSON objects; in a connection's URI"),
        ({}, '{"endpoint_url": "http://localhost:4566",}', "extra: is not a JSON object"),
        ({}, "[]", "extra: is not a JSON object"),
        ({}, {"config_kwargs": {"conect_timeout": 3}}, "config_kwargs: .*conect_timeout"),
        ({}, {"config_kwargs": {"retries": {"mode": "often"}}}, "config_kwargs: .*often"),
        ({}, {"config_kwargs": {"proxies_config": {"proxy_ca_bundle": "x"}}}, "config_kwargs.proxies_config: the scan"),
        ({}, {"config_kwargs": {"signature_version": "s3v4"}}, "config_kwargs.signature_version: the scan"),
        ({}, {"config_kwargs": {"client_cert": ["a", "b"]}}, "config_kwargs.client_cert: give the path of one"),
        ({}, {"service_config": {"s3": "http://minio"}}, "service_config: give an object for each service"),
    ],
)
def test_ignored_fields_are_named(connect: Connect, fields: Any, extra: Any, reported: str) -> None:
    connect(extra, **fields)
    with pytest.raises(
        SettingsError, match=f"ECR_AUDIT_AWS_CONN_ID: connection 'aws_hub' cannot be used.*\n  .*{reported}"
    ):
        connection_access()


def test_the_extras_are_those_that_the_hook_reads() -> None:
    from airflow.providers.amazon.aws.hooks import base_aws
    from airflow.providers.amazon.aws.utils import connection_wrapper

    source = inspect.getsource(base_aws) + inspect.getsource(connection_wrapper)
    assert [name for name in EXTRAS if f'"{name}"' not in source and f"{name}: " not in source] == []


def test_all_of_it_is_taken(connect: Connect) -> None:
    connect(
        {
            "region_name": "eu-west-1",
            "endpoint_url": "https://aws.example",
            "service_config": {"s3": {"endpoint_url": "https://minio.example", "bucket_name": "of-an-operator"}},
            "verify": False,
            "config_kwargs": {"read_timeout": 7, "proxies": {"https": "proxy:3128"}, "retries": {"max_attempts": 2}},
        }
    )
    access = taken()
    ecr, s3 = access.client("ecr"), access.client("s3", "eu-north-1")
    assert (ecr.meta.endpoint_url, ecr.meta.region_name) == ("https://aws.example", "eu-west-1")
    assert (s3.meta.endpoint_url, s3.meta.region_name) == ("https://minio.example", "eu-north-1")
    for client in (ecr, s3):
        assert client._endpoint.http_session._verify is False
        assert (client.meta.config.read_timeout, client.meta.config.proxies) == (7, {"https": "proxy:3128"})
        assert client.meta.config.retries["total_max_attempts"] == 3
    assert key_of(access) == HUB_ACCESS_KEY_ID


def test_its_role_is_assumed_at_its_endpoint_and_renewed(
    connect: Connect, demo: EmulatedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions of a quarter of an hour, which botocore renews at each use."""
    role = f"arn:aws:iam::{demo.world.hub_account_id}:role/{demo.world.role_name}"
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    authority = Authority(tmp_path)
    with TlsFront(demo.endpoint_url, authority) as front:
        more = {"ExternalId": demo.world.external_id, "DurationSeconds": 900}
        extra = {"endpoint_url": front.url, "verify": str(authority.bundle), "role_arn": role}
        connect({**extra, "region_name": "us-east-1", "assume_role_kwargs": more})
        hub = connect_hub()
        first, second = hub.credentials(), hub.credentials()
    assert hub.account_id == demo.world.hub_account_id
    assert first.token and second.token and first.access_key != second.access_key


def test_it_is_asked_for_again_now_and_then(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server runs for months, and keys are replaced."""
    connect()
    use_connection()
    first = aws_access()
    assert aws_access() is first
    connect(login="AKIAANOTHER", password="key")
    use_connection()
    assert aws_access() is first
    monkeypatch.setattr("ecr_audit.aws.access.SOURCE_SECONDS", -1)
    assert key_of(aws_access()) == "AKIAANOTHER"
    monkeypatch.setenv("AIRFLOW_CONN_AWS_HUB", "{}")
    assert key_of(aws_access()) == "AKIAANOTHER", "what is known goes on to serve"


class RecordingS3:
    """moto's S3. `signed_by`: the key ids of all requests."""

    def __init__(self) -> None:
        self._application = DomainDispatcherApplication(create_backend_app)
        self.signed_by: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.signed_by.add(environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition("/")[0])
        return self._application(environ, start_response)  # type: ignore[no-any-return]  # moto does not type it


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@pytest.fixture
def s3() -> Iterator[tuple[RecordingS3, str]]:
    """The S3 and its address, with a bucket in it."""
    s3 = RecordingS3()
    server = make_server("127.0.0.1", 0, s3, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        boto3.client("s3", "us-east-1", endpoint_url=url, **_keys("anybody")).create_bucket(Bucket="audit-store")
        s3.signed_by.clear()
        yield s3, url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _keys(name: str) -> dict[str, Any]:
    return {"aws_access_key_id": name, "aws_secret_access_key": name}


@pytest.mark.slow
def test_a_night_for_which_it_has_the_only_keys(
    demo: EmulatedAws,
    s3: tuple[RecordingS3, str],
    connect: Connect,
    run_dag: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """They are of a role that is assumed with the connection's own: for AWS and S3, also in processes of their own."""
    store, s3_url = s3
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    extra: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": demo.endpoint_url}
    extra["service_config"] = {"s3": {"endpoint_url": s3_url}}
    extra["role_arn"] = f"arn:aws:iam::{demo.world.hub_account_id}:role/{demo.world.role_name}"
    extra["assume_role_kwargs"] = {"ExternalId": demo.world.external_id}
    connect(extra)
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "us-east-1")
    monkeypatch.setenv("ECR_AUDIT_LAKE", "s3://audit-store/lake")
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "s3://audit-store/publish")
    started: list[str] = []

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], *, env: dict[str, str], **options: Any) -> None:
            # Where the connection is kept elsewhere than in a variable, as it should be.
            hidden = {name: value for name, value in env.items() if name != "AIRFLOW_CONN_AWS_HUB"}
            started.append(f"{command} {hidden}")
            super().__init__(command, env=hidden, **options)

    with monkeypatch.context() as patch:
        patch.setattr(own_process, "subprocess", SimpleNamespace(Popen=Watched, DEVNULL=subprocess.DEVNULL))
        for dag_id in ("ecr_inventory", "ecr_compliance", "ecr_freshness"):
            assert run_dag(dag_id) == ("success", {})
    assert len(started) == 4
    assert HUB_SECRET_ACCESS_KEY not in "".join([*started, *capfd.readouterr()])
    assert newest(load_settings()).snapshot_date == datetime.now(UTC).date()
    found = ecr_audit.query("SELECT count(*) AS repositories FROM repositories")
    assert found["repositories"][0] > 0
    results = list(examine(connect_hub, lambda: None))
    assert [result for result in results if result.status is Status.FAIL] == []
    assert store.signed_by and all(key.startswith("ASIA") for key in store.signed_by)


def test_pages_find_publications_by_it(
    s3: tuple[RecordingS3, str],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    airflow_database: None,
) -> None:
    import ecr_audit_plugin

    store, s3_url = s3
    connect({"region_name": "us-east-1", "endpoint_url": s3_url})
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "s3://audit-store/nothing-yet")
    ecr_audit_plugin.settings.cache_clear()
    with pytest.raises(FileNotFoundError, match=r"nothing-yet/latest\.json"):
        ecr_audit_plugin.newest_publication()
    assert store.signed_by == {HUB_ACCESS_KEY_ID}
    use_access(None)
    monkeypatch.delenv("AIRFLOW_CONN_AWS_HUB")
    with pytest.raises(PublicationError, match=r"ECR_AUDIT_AWS_CONN_ID: .*aws_hub"):
        ecr_audit_plugin.newest_publication()
    ecr_audit_plugin.settings.cache_clear()
