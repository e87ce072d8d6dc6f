"""Alerts, as Airflow sends them: by its providers' notifiers, over the channels that the settings name.

What is sent, and when, is decided in the library (ecr_audit/alerts). The DAGs call these:

    send_night         in the task `announce`: what the published night brought
    send_failed_run    on_failure_callback of a DAG
    send_missed_night  the same for ecr_freshness

Callbacks of a DAG run in the DAG processor, so that a run is told of also when no worker is left. Light to import: DAG
files do so at every parse.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow.sdk import BaseNotifier

    from ecr_audit.alerts.message import Message
    from ecr_audit.alerts.sent import Sent
    from ecr_audit.settings import AlertSettings

log = logging.getLogger(__name__)

# Seconds that Slack may take. A callback has 50 altogether (dag_file_processor_timeout), after which it is killed.
_TIMEOUT = 10


class AlertError(Exception):
    """A message did not go out over some channel; the log says why."""


def send_night() -> None:
    """Send what the newest published night brought, but for what was sent already.

    Raises AlertError at the end when a channel failed: publishing is done by then, and a channel that is broken in
    silence would be worse than a red task. Trying again sends only what is missing.
    """
    from ecr_audit.alerts.night import night_messages
    from ecr_audit.alerts.sent import Sent
    from ecr_audit.lake.lake import open_lake
    from ecr_audit.publish.store import newest
    from ecr_audit.settings import load_settings

    settings = load_settings()
    if not list(_channels(settings)):
        return
    published = newest(settings)
    pages = f"{address}/ecr-audit" if (address := _airflow_address()) else ""
    messages = night_messages(published.database, settings.min_coverage, pages)
    failed = send(settings, messages, Sent(open_lake(settings), published.snapshot_date))
    if failed:
        raise AlertError(f"Not sent over {', '.join(failed)}: the log says why.")


def send_failed_run(context: Any) -> None:
    """Send that a run failed. A callback's own failure is only logged."""
    from datetime import UTC, datetime

    from ecr_audit.alerts.runs import run_failed
    from ecr_audit_airflow.aws_connection import use_connection

    use_connection()
    task = context.get("task")
    message = run_failed(
        context["dag"].dag_id,
        context["run_id"],
        task and task.task_id,
        context.get("reason"),
        datetime.now(UTC),
        _airflow_address(),
    )
    send(_settings(), [message])


def send_missed_night(context: Any) -> None:
    """Send which nights were missed; what is published is looked at again. A callback's own failure is only logged."""
    from datetime import UTC, datetime

    from ecr_audit.alerts.runs import missed_night
    from ecr_audit.publish.freshness import missed_night as look
    from ecr_audit.settings import load_settings
    from ecr_audit_airflow.aws_connection import use_connection

    use_connection()
    try:
        message = look(load_settings(), datetime.now(UTC))
    except Exception as error:  # whatever it is, it must not cost the message; its text is for the log
        log.exception("What is published cannot be looked at")
        message = f"What is published cannot be looked at ({type(error).__name__}); the log says why."
    # None: it came since, or the check failed of something else.
    message = message or f"{context['dag'].dag_id} failed, and there is a snapshot of last night now."
    send(_settings(), [missed_night(message, _airflow_address())])


def check_channels() -> dict[str, str]:
    """Each channel that the settings name, and what its connection lacks, empty when nothing does. Nothing is sent."""
    from ecr_audit.settings import load_settings

    return {channel.name: channel.lacks() for channel in _channels(load_settings())}


def _settings() -> AlertSettings:
    """What sending takes, also when a wrong setting is why a run failed."""
    from ecr_audit.settings import SettingsError, load_alert_settings, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        log.error("%s", error)
        return load_alert_settings()


def send(settings: AlertSettings, messages: Sequence[Message], sent: Sent | None = None) -> list[str]:
    """Send over every channel, whatever becomes of the others. Returns the names of the channels that failed."""
    from airflow.sdk.log import redact

    failed = []
    for channel, message in product(_channels(settings), messages):
        try:
            if sent and sent.has(channel.name, message):
                log.info("Sent before over %s: %s", channel.name, message.subject)
                continue
            # Not called, as Airflow calls a notifier: that would render templates, and other people's names with them.
            channel.notifier(message).notify({})
            log.info("Sent over %s: %s", channel.name, message.subject)
            if sent:
                sent.add(channel.name, message)
        except Exception as error:  # any channel's
            # Airflow knows the secrets of the connections that it has read, such as a webhook's address.
            why = redact(f"{type(error).__name__}: {error}")
            log.error("Not sent over %s: %s: %s", channel.name, message.subject, why)
            failed.append(channel.name)
    return sorted(set(failed))


@dataclass(frozen=True)
class _Channel:
    """A channel: its name, the Airflow connection that it takes, and what makes Airflow's notifier of a message."""

    name: str
    conn_type: str
    conn_id: str | None
    notifier: Callable[[Message], BaseNotifier]

    def lacks(self) -> str:
        """What the connection lacks; empty when nothing does."""
        from airflow.sdk import BaseHook

        if self.conn_id is None:
            return ""
        try:
            connection = BaseHook.get_connection(self.conn_id)
        except Exception as error:  # Airflow's, of an unknown connection, or of one that cannot be read
            return f"Airflow has no connection '{self.conn_id}' ({type(error).__name__})"
        if connection.conn_type != self.conn_type:
            return f"connection '{self.conn_id}' is of type {connection.conn_type}, not {self.conn_type}"
        if self.conn_type == "slackwebhook" and not connection.password:
            return f"connection '{self.conn_id}' has no password, which is the secret part of the webhook's address"
        if self.conn_type == "smtp" and not connection.extra_dejson.get("from_email"):
            return f"connection '{self.conn_id}' has no from_email among its extras"
        return ""


def _channels(settings: AlertSettings) -> Iterator[_Channel]:
    """The channels that are set. The quickest to give up comes first."""
    if conn_id := settings.alert_slack_conn_id:
        yield _Channel(f"Slack connection {conn_id}", "slackwebhook", conn_id, partial(_slack, conn_id))
    if to := settings.alert_email_to:
        yield _Channel(f"e-mail to {', '.join(to)}", "smtp", _smtp_conn_id(), partial(_email, to))
    if topic := settings.alert_sns_topic_arn:
        yield _Channel(f"SNS topic {topic}", "aws", settings.aws_conn_id, partial(_sns, topic, settings.aws_conn_id))


def _smtp_conn_id() -> str:
    """The connection by which Airflow sends mail: smtp_default, unless it is told otherwise."""
    from airflow.sdk.configuration import conf

    return str(conf.get("email", "email_conn_id", fallback="smtp_default"))


def _airflow_address() -> str:
    """Where people reach Airflow, without a slash at the end; empty when it does not know."""
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def _slack(conn_id: str, message: Message) -> BaseNotifier:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    notifier = SlackWebhookNotifier(
        slack_webhook_conn_id=conn_id,
        text=message.as_slack(),
        unfurl_links=False,
        unfurl_media=False,
        timeout=_TIMEOUT,
        # Slack's own would log the webhook's address, a secret, when it tries again.
        retry_handlers=[],
    )
    # And with errors, too; what went wrong is in the exception.
    quiet = logging.getLogger(f"{__name__}.slack_sdk")
    quiet.setLevel(logging.CRITICAL)
    notifier.hook.extra_client_args["logger"] = quiet
    return notifier


def _email(to: Sequence[str], message: Message) -> BaseNotifier:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(
        smtp_conn_id=_smtp_conn_id(), to=list(to), subject=message.subject, html_content=message.as_html()
    )


def _sns(topic_arn: str, conn_id: str | None, message: Message) -> BaseNotifier:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    return SnsNotifier(
        aws_conn_id=conn_id,
        target_arn=topic_arn,
        region_name=topic_arn.split(":")[3],
        subject=message.short_subject,
        message=message.body,
    )
