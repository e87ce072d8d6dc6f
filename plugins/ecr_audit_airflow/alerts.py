"""Sending alerts: by the notifiers of Airflow's providers, over the channels in the settings.

The library decides what is sent, and when (ecr_audit/alerts). The DAGs call these:

    send_night         in the task `announce`: the messages on the published night
    send_failed_run    on_failure_callback of a DAG
    send_missed_night  the same for ecr_freshness

Callbacks of a DAG run in the DAG processor, so that failures are reported even without a worker. Light to import: DAG
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

# Timeout for Slack in seconds. A callback is killed after 50 in total (dag_file_processor_timeout).
_TIMEOUT = 10


class AlertError(Exception):
    """A message was not sent over some channel; the log has the reason."""


def send_night() -> None:
    """Send the messages on the newest published night that were not sent before.

    Raises AlertError at the end when a channel failed: publishing is done by then, and a channel that fails
    silently would be worse than a failed task. A retry sends only the missing messages.
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
    pages = f"{address}/ecr-audit" if (address := airflow_address()) else ""
    messages = night_messages(published.database, settings.min_coverage, pages)
    failed = send(settings, messages, Sent(open_lake(settings), published.snapshot_date))
    if failed:
        raise AlertError(f"Not sent over {', '.join(failed)}: see the log.")


def send_failed_run(context: Any) -> None:
    """Report a failed run. A failure of the callback itself is only logged."""
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
        airflow_address(),
    )
    send(_settings(), [message])


def send_missed_night(context: Any) -> None:
    """Report missed nights, after another look at the publication. A failure of the callback itself is only logged."""
    from datetime import UTC, datetime

    from ecr_audit.alerts.runs import missed_night
    from ecr_audit.publish.freshness import missed_night as look
    from ecr_audit.settings import load_settings
    from ecr_audit_airflow.aws_connection import use_connection

    use_connection()
    try:
        message = look(load_settings(), datetime.now(UTC))
    except Exception as error:  # any error: the message must still be sent; the error's text is for the log
        log.exception("The publication cannot be read")
        message = f"The publication cannot be read ({type(error).__name__}); see the log."
    # None: it has been published since, or the check failed for another reason.
    message = message or f"{context['dag'].dag_id} failed, but there is a snapshot of last night now."
    send(_settings(), [missed_night(message, airflow_address())])


def check_channels() -> dict[str, str]:
    """Each channel of the settings with what its connection lacks, empty if complete. Nothing is sent."""
    from ecr_audit.settings import load_settings

    return {channel.name: channel.lacks() for channel in _channels(load_settings())}


def _settings() -> AlertSettings:
    """Settings for sending, also when an invalid setting made the run fail."""
    from ecr_audit.settings import SettingsError, load_alert_settings, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        log.error("%s", error)
        return load_alert_settings()


def send(settings: AlertSettings, messages: Sequence[Message], sent: Sent | None = None) -> list[str]:
    """Send over every channel, even if others fail. Returns the names of the channels that failed."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # is there, but Airflow has no list of exports

    failed = []
    for channel, message in product(_channels(settings), messages):
        try:
            if sent and sent.has(channel.name, message):
                log.info("Already sent over %s: %s", channel.name, message.subject)
                continue
            # Not called as Airflow calls a notifier: that would render templates, also those in other people's names.
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
    """A channel: its name, its Airflow connection, and the factory of Airflow's notifier for a message."""

    name: str
    conn_type: str
    conn_id: str | None
    notifier: Callable[[Message], BaseNotifier]

    def lacks(self) -> str:
        """The missing part of the connection; empty if it is complete."""
        from airflow.sdk import BaseHook

        if self.conn_id is None:
            return ""
        try:
            connection = BaseHook.get_connection(self.conn_id)
        except Exception as error:  # Airflow's, for an unknown or unreadable connection
            return f"Airflow has no connection '{self.conn_id}' ({type(error).__name__})"
        if connection.conn_type != self.conn_type:
            return f"connection '{self.conn_id}' is of type {connection.conn_type}, not {self.conn_type}"
        if self.conn_type == "slackwebhook" and not connection.password:
            return f"connection '{self.conn_id}' has no password, which is the secret part of the webhook's address"
        if self.conn_type == "smtp" and not connection.extra_dejson.get("from_email"):
            return f"connection '{self.conn_id}' has no from_email among its extras"
        return ""


def _channels(settings: AlertSettings) -> Iterator[_Channel]:
    """The channels that are set, shortest timeout first."""
    if conn_id := settings.alert_slack_conn_id:
        yield _Channel(f"Slack connection {conn_id}", "slackwebhook", conn_id, partial(_slack, conn_id))
    if to := settings.alert_email_to:
        yield _Channel(f"e-mail to {', '.join(to)}", "smtp", _smtp_conn_id(), partial(_email, to))
    if topic := settings.alert_sns_topic_arn:
        yield _Channel(f"SNS topic {topic}", "aws", settings.aws_conn_id, partial(_sns, topic, settings.aws_conn_id))


def _smtp_conn_id() -> str:
    """The connection that Airflow sends mail with: smtp_default, unless configured otherwise."""
    from airflow.sdk.configuration import conf

    return str(conf.get("email", "email_conn_id", fallback="smtp_default"))


def airflow_address() -> str:
    """Airflow's address for people, without a trailing slash; empty if unknown."""
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
        # Slack's own retry handler would log the webhook's address, a secret.
        retry_handlers=[],
    )
    # Also with errors; the exception has the reason.
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
