"""Alerts, received by real servers of this machine, over Airflow's own connections and notifiers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.alerts.message import Message
from ecr_audit.publish.build import publish
from support.receivers import WEBHOOK, Http, Smtp
from support.small_lake import SmallLake

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore")]

TOPIC = "arn:aws:sns:eu-west-1:111111111111:audit"

FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    """A channel of Slack's."""
    with Http() as receiver:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", receiver.connection)
        monkeypatch.setenv("ECR_AUDIT_ALERT_SLACK_CONN_ID", "slack_alerts")
        yield receiver


@pytest.fixture
def sns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    """A topic of SNS's."""
    with Http() as receiver:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{receiver.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        monkeypatch.setenv("ECR_AUDIT_ALERT_SNS_TOPIC_ARN", TOPIC)
        yield receiver


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Smtp]:
    """A mail server."""
    with Smtp() as receiver:
        monkeypatch.setenv(
            "AIRFLOW_CONN_SMTP_DEFAULT",
            f'{{"conn_type": "smtp", "host": "127.0.0.1", "port": {receiver.port}, "extra": {{'
            '"disable_ssl": true, "disable_tls": true, "from_email": "ecr-audit@example.com"}}',
        )
        monkeypatch.setenv("ECR_AUDIT_ALERT_EMAIL_TO", "security@example.com,owner@example.com")
        yield receiver


HOSTILE = "<!channel> <b>all</b> & {{ 7 * 7 }} {{ conn.slack_alerts.password }}\u202e*.sql"


def send(*messages: Message) -> list[str]:
    from ecr_audit.settings import load_settings
    from ecr_audit_airflow import alerts

    return alerts.send(load_settings(), messages)


def test_slack_is_sent_text_in_which_nothing_is_markup(slack: Http) -> None:
    assert send(Message("1 new finding", (HOSTILE, "- second line"))) == []
    [payload] = slack.slack
    assert payload == {
        "text": "1 new finding\n&lt;!channel&gt; &lt;b&gt;all&lt;/b&gt; &amp; {{ 7 * 7 }}"
        " {{ conn.slack_alerts.password }}\u202e*.sql\n- second line",
        "unfurl_links": False,
        "unfurl_media": False,
    }


def test_a_mail_has_one_subject_and_shows_text(mail: Smtp) -> None:
    assert send(Message(f"ECR audit, Zürich: {HOSTILE}", (HOSTILE, "- second line"))) == []
    [received] = mail.mails
    assert mail.recipients == [["security@example.com", "owner@example.com"]]
    assert (received["From"], received["To"]) == ("ecr-audit@example.com", "security@example.com, owner@example.com")
    assert received["Subject"] == f"ECR audit, Zürich: {HOSTILE}"
    [part] = [part for part in received.walk() if not part.is_multipart()]
    assert part.get_content_type() == "text/html"
    assert "&lt;!channel&gt; &lt;b&gt;all&lt;/b&gt; &amp; {{ 7 * 7 }}" in part.get_content()
    assert "\n- second line" in part.get_content()


def test_a_topic_is_sent_a_subject_that_sns_takes(sns: Http) -> None:
    assert send(Message(f"Zürich: {'long ' * 30}", (HOSTILE, "- second line"))) == []
    [publish] = sns.sns
    assert (publish["Action"], publish["TargetArn"]) == ("Publish", TOPIC)
    assert publish["Subject"].startswith("Z?rich: long") and len(publish["Subject"]) == 100
    assert "{{ 7 * 7 }}" in publish["Message"] and "\\n- second line" in publish["Message"]


@pytest.fixture
def nights(small_lake: SmallLake, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Scans, evaluates and publishes a night of the given rows."""
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))

    def night(day: date, **rows: Any) -> None:
        small_lake.night(day, **rows)
        publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())

    return night


OLD = {"repository_name": "old"}
NEW = {"repository_name": "new"}


@pytest.fixture
def a_finding(nights: Callable[..., None]) -> None:
    """Two nights, of which the second brings a new finding."""
    nights(FIRST, repositories=[OLD])
    nights(SECOND, repositories=[OLD, NEW])


def send_night() -> None:
    from ecr_audit_airflow import alerts

    alerts.send_night()


@pytest.mark.slow
def test_a_night_is_reported_once_however_often_it_is_evaluated(
    slack: Http, mail: Smtp, sns: Http, a_finding: None, nights: Callable[..., None]
) -> None:
    send_night()
    send_night()
    nights(SECOND, repositories=[OLD, NEW])
    send_night()
    assert [len(slack.bodies), len(mail.mails), len(sns.bodies)] == [1, 1, 1]
    assert mail.mails[0]["Subject"] == "ECR audit, night of 2026-11-02: 1 new finding"
    # Evaluated again, it has more to report.
    nights(SECOND, repositories=[OLD, NEW, {"repository_name": "newer"}])
    send_night()
    assert [len(slack.bodies), len(mail.mails), len(sns.bodies)] == [2, 2, 2]


@pytest.mark.slow
def test_a_channel_that_fails_stops_no_other_and_is_tried_again(
    slack: Http, mail: Smtp, a_finding: None, caplog: pytest.LogCaptureFixture
) -> None:
    from ecr_audit_airflow.alerts import AlertError

    slack.status = 500
    with pytest.raises(AlertError, match="Not sent over Slack connection slack_alerts"):
        send_night()
    [error] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "Status Code: 500" in error.getMessage()
    assert len(mail.mails) == 1
    slack.status = 200
    send_night()
    assert (len(slack.bodies), len(mail.mails)) == (2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "ftp://127.0.0.1/"])
def test_an_error_does_not_reveal_the_webhook(
    address: str,
    a_finding: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from ecr_audit_airflow.alerts import AlertError

    connection = f'{{"conn_type": "slackwebhook", "host": "{address}", "password": "{WEBHOOK}"}}'
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", connection)
    monkeypatch.setenv("ECR_AUDIT_ALERT_SLACK_CONN_ID", "slack_alerts")
    with pytest.raises(AlertError) as reported:
        send_night()
    written = "".join([*capfd.readouterr(), caplog.text, str(reported.value)])
    assert "Not sent over Slack connection slack_alerts" in written
    assert WEBHOOK not in written


def test_without_channels_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path / "not-there"))
    send_night()
    assert not (tmp_path / "not-there").exists()


class Dag:
    dag_id = "ecr_inventory"


class Task:
    task_id = "check_coverage"


def test_a_failed_run_is_reported_with_its_task(slack: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecr_audit_airflow import alerts

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/")
    alerts.send_failed_run({"dag": Dag, "task": Task, "run_id": "scheduled__1", "reason": "task_failure"})
    alerts.send_failed_run({"dag": Dag, "run_id": "scheduled__2", "reason": "all_tasks_deadlocked"})
    first, second = (payload["text"] for payload in slack.slack)
    assert "ecr_inventory failed\nRun scheduled__1 failed in task check_coverage, at 20" in first
    assert "https://airflow.example.com/dags/ecr_inventory/runs/scheduled__1" in first
    assert "Run scheduled__2 failed (all_tasks_deadlocked)" in second


def test_a_missed_night_is_reported_also_when_nothing_can_be_looked_at(
    slack: Http, a_finding: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecr_audit_airflow import alerts

    alerts.send_missed_night({"dag": Dag, "run_id": "r"})
    monkeypatch.setenv("ECR_AUDIT_PUBLISH", "s3://no-such-bucket-here")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    alerts.send_missed_night({"dag": Dag, "run_id": "r"})
    first, second = (payload["text"] for payload in slack.slack)
    assert "The newest published snapshot is of 2026-11-02: " in first
    assert "The publication cannot be read (PublicationError); see the log" in second


@pytest.mark.parametrize(
    ("setting", "value"), [("CONCURRENCY", "lots"), ("ALERT_SNS_TOPIC_ARN", "alarms"), ("ALERT_EMAIL_TO", "nobody")]
)
def test_an_invalid_setting_is_reported_too(
    slack: Http, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    """Also when it is one of another channel's."""
    from ecr_audit_airflow import alerts

    monkeypatch.setenv(f"ECR_AUDIT_{setting}", value)
    alerts.send_failed_run({"dag": Dag, "run_id": "r", "reason": "task_failure"})
    alerts.send_missed_night({"dag": Dag, "run_id": "r"})
    assert "ecr_inventory failed" in slack.slack[0]["text"]
    assert "cannot be read (SettingsError); see the log" in slack.slack[1]["text"]


LACKING = {
    "no connection": ("SLACK_ALERTS", None, "Airflow has no connection 'slack_alerts'"),
    "another type": ("SLACK_ALERTS", {"conn_type": "slack", "password": "p"}, "is of type slack, not slackwebhook"),
    "no webhook": ("SLACK_ALERTS", {"conn_type": "slackwebhook"}, "has no password"),
    "no sender": ("SMTP_DEFAULT", {"conn_type": "smtp", "host": "127.0.0.1"}, "has no from_email among its extras"),
    "no credentials": ("HUB", None, "Airflow has no connection 'hub'"),
}


@pytest.mark.parametrize("case", LACKING)
def test_the_doctor_names_missing_fields_of_a_connection(
    case: str,
    slack: Http,
    mail: Smtp,
    sns: Http,
    airflow_database: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ecr_audit_airflow import alerts

    monkeypatch.setenv("AIRFLOW_CONN_HUB", '{"conn_type": "aws"}')
    monkeypatch.setenv("ECR_AUDIT_AWS_CONN_ID", "hub")
    channels = alerts.check_channels()
    assert [name.split()[0] for name in channels] == ["Slack", "e-mail", "SNS"]
    assert set(channels.values()) == {""}
    name, connection, reported = LACKING[case]
    if connection is None:
        monkeypatch.delenv(f"AIRFLOW_CONN_{name}")
    else:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
    [lacks] = [lacks for lacks in alerts.check_channels().values() if lacks]
    assert reported in lacks
    assert (slack.bodies, mail.mails, sns.bodies) == ([], [], [])
