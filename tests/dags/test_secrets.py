"""No secret of a run reaches a log, nor anything else that the run writes."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from demo.emulated_aws.server import EmulatedAws
from support.paths import PYTHONPATH, ROOT
from support.processes import PATIENCE
from support.receivers import WEBHOOK, Http, Smtp

from .conftest import Run

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


PASSWORD = "pa55-w0rd-of-the-reports"
MAIL_PASSWORD = "pa55-w0rd-of-the-mail-server"


@pytest.fixture
def secrets(demo: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Values that must not be seen: filled with the members' credentials while the run assumes their roles.

    The hub's are those of a role, as on a machine of AWS, so that there is a session token.
    """
    identities = demo.identities
    found: dict[str, str] = {"external id": os.environ["ECR_AUDIT_EXTERNAL_ID"], "password": PASSWORD}
    issue = identities.issue

    def noting(account_id: str, role: str, session_name: str, seconds: int) -> Any:
        key_id, caller = issue(account_id, role, session_name, seconds)
        found[f"key id of {account_id}"] = key_id
        found[f"secret key of {account_id}"] = caller.secret_access_key
        found[f"token of {account_id}"] = caller.session_token
        return key_id, caller

    monkeypatch.setattr(identities, "issue", noting)
    key_id, hub = identities.issue(demo.world.hub_account_id, "ecr-audit-hub", "night", 3600)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", hub.secret_access_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", hub.session_token)
    monkeypatch.setenv("ECR_AUDIT_REGIONS", "us-east-1")
    monkeypatch.setenv("AIRFLOW_CONN_BI", f"postgres://audit:{PASSWORD}@127.0.0.1:1/compliance")
    yield found


@pytest.fixture
def log(
    airflow_database: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[], bytes]:
    """Reads what was logged, by Airflow and by what it runs."""
    [handler] = [each for each in logging.getLogger().handlers if type(each) is logging.StreamHandler]
    stream = io.StringIO()
    monkeypatch.setattr(handler, "stream", stream)
    return lambda: "".join([*capfd.readouterr(), stream.getvalue()]).encode()


def test_a_whole_run_writes_no_secret(secrets: dict[str, str], airflow_database: None, tmp_path: Path) -> None:
    """The command of `make audit-aws`, with a log of all there is (DEBUG)."""
    environment = {
        "PYTHONPATH": PYTHONPATH,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
    }
    command = [sys.executable, str(ROOT / "bin" / "audit.py"), "aws"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout
    written = [done.stdout, done.stderr, *files(tmp_path)]
    assert any(b"[debug" in each and b"Snapshot" in each for each in written)
    assert len(secrets) > 60  # three of each account
    assert leaked(secrets, written) == []


def test_a_run_that_fails_reports_its_error_without_a_password(
    secrets: dict[str, str],
    run_dag: Run,
    log: Callable[[], bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """At Airflow's own level of logging: at DEBUG Airflow itself logs the passwords of connections."""
    monkeypatch.setenv("ECR_AUDIT_POSTGRES_CONN_ID", "bi")
    assert run_dag("ecr_inventory") == ("success", {})
    state, faults = run_dag("ecr_compliance")
    assert state == "failed" and list(faults) == ["publish_to_postgres"]
    assert "127.0.0.1" in faults["publish_to_postgres"]
    logged = log()
    # Lines of the library, by Python's logging, and Airflow's own on the task that failed.
    assert b"[ecr_audit.inventory.steps]" in logged and b"Task failed with exception" in logged
    assert b"127.0.0.1" in logged
    written = [logged, *(each.encode() for each in faults.values()), *files(tmp_path)]
    assert leaked(secrets, written) == []


def test_a_night_that_is_reported_over_every_channel_writes_no_secret(
    secrets: dict[str, str],
    run_dag: Run,
    log: Callable[[], bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Also when a channel answers with an error; what was not sent is sent the next time."""
    secrets |= {"webhook": WEBHOOK, "password of the mail server": MAIL_PASSWORD}
    # More than the demo's accounts let be read: there is something to report.
    monkeypatch.setenv("ECR_AUDIT_MIN_COVERAGE", "0.99")
    with Http() as slack, Http() as sns, Smtp() as mail:
        slack.status = sns.status = 500
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", slack.connection)
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", mail_connection(mail))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{sns.port}")
        monkeypatch.setenv("ECR_AUDIT_ALERT_SLACK_CONN_ID", "slack_alerts")
        monkeypatch.setenv("ECR_AUDIT_ALERT_EMAIL_TO", "security@example.com")
        monkeypatch.setenv("ECR_AUDIT_ALERT_SNS_TOPIC_ARN", "arn:aws:sns:eu-west-1:100000000000:audit")
        assert run_dag("ecr_inventory")[0] == "failed"
        state, faults = run_dag("ecr_compliance")
        assert state == "failed" and slack.bodies and sns.bodies
        slack.status = sns.status = 200
        assert run_dag("ecr_compliance") == ("success", {})
    assert mail.mails and set(mail.logins) == {("ecr-audit", MAIL_PASSWORD)}
    logged = log()
    assert b"Not sent over Slack" in logged and b"Sent over Slack" in logged
    written = [logged, *(each.encode() for each in faults.values()), *files(tmp_path)]
    assert leaked(secrets, written) == []


def mail_connection(server: Smtp) -> str:
    """An Airflow connection to it that logs in."""
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "ecr-audit@example.com"}
    login = {"login": "ecr-audit", "password": MAIL_PASSWORD}
    return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, **login, "extra": extra})


def files(data: Path) -> list[bytes]:
    """All that a run leaves: its data, and what Airflow keeps, its log files and its database among it."""
    folders = (Path(os.environ["AIRFLOW_HOME"]), data)
    return [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]


def leaked(secrets: dict[str, str], written: list[bytes]) -> list[str]:
    """The names of the secrets that stand in what was written."""
    return [name for name, secret in secrets.items() if any(is_in(secret, each) for each in written)]


def is_in(secret: str, written: bytes) -> bool:
    """As it is, or as it stands in a URL or a form."""
    return secret.encode() in written or quote(secret, safe="").encode() in written
