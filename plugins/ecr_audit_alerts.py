"""Alerts, as Airflow sends them: by its providers' notifiers, over the channels that the settings name.

What is told, and when, is the library's (ecr_audit/alerts). The DAGs call these:

    tell_night         in the task `announce`: what the published night brought
    tell_failed_run    on_failure_callback of a DAG
    tell_missed_night  the same for ecr_freshness

Callbacks of a DAG run in the DAG processor, so that a run is told of also when no worker is left. Light to import: DAG
files do so at every parse.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow.sdk import BaseNotifier

    from ecr_audit.alerts.message import Message
    from ecr_audit.alerts.sent import Sent
    from ecr_audit.settings import Settings

log = logging.getLogger(__name__)

# Seconds that Slack may take. A callback has 50 altogether (dag_file_processor_timeout), after which it is killed.
_TIMEOUT = 10


class AlertError(Exception):
    """A message did not go out over some channel; the log says why."""


def tell_night() -> None:
    """Send what the newest published night brought, but for what was sent already.

    Raises AlertError at the end when a channel failed: publishing is done by then, and a channel that is broken in
    silence would be worse than a red task. Trying again sends only what is missing.
    """
    from ecr_audit.alerts.night import night_messages
    from ecr_audit.alerts.sent import Sent
    from ecr_audit.lake import open_lake
    from ecr_audit.publication import newest
    from ecr_audit.settings import load_settings

    settings = load_settings()
    if not list(_channels(settings)):
        return
    published = newest(settings)
    pages = f"{address}/ecr-audit" if (address := _airflow_address()) else ""
    messages = night_messages(published.database, settings.min_coverage, pages)
    failed = _send(settings, messages, Sent(open_lake(settings), published.snapshot_date))
    if failed:
        raise AlertError(f"Not sent over {', '.join(failed)}: the log says why.")


def tell_failed_run(context: Any) -> None:
    """Send that a run failed. A callback's own failure is only logged."""
    from datetime import UTC, datetime

    from ecr_audit.alerts.runs import run_failed
    from ecr_audit.settings import load_settings

    task = context.get("task")
    message = run_failed(
        context["dag"].dag_id,
        context["run_id"],
        task and task.task_id,
        context.get("reason"),
        datetime.now(UTC),
        _airflow_address(),
    )
    _send(load_settings(), [message])


def tell_missed_night(context: Any) -> None:
    """Send which nights were missed; what is published is looked at anew. A callback's own failure is only logged."""
    from datetime import UTC, datetime

    from ecr_audit.alerts.runs import missed_night
    from ecr_audit.freshness import missed_night as look
    from ecr_audit.settings import load_settings

    settings = load_settings()
    try:
        told = look(settings, datetime.now(UTC))
    except Exception as error:  # whatever it is, it must not cost the message
        log.exception("What is published cannot be looked at")
        told = f"What is published cannot be looked at: {error}"
    # None: it came since, or the check failed of something else.
    told = told or f"{context['dag'].dag_id} failed, and there is a snapshot of last night now."
    _send(settings, [missed_night(told, _airflow_address())])


def _send(settings: Settings, messages: Iterable[Message], sent: Sent | None = None) -> list[str]:
    """Send over every channel, whatever becomes of the others. Returns the names of the channels that failed."""
    from airflow.sdk.log import redact

    messages = list(messages)
    failed: dict[str, None] = {}
    for channel, make in _channels(settings):
        for message in messages:
            try:
                if sent and sent.has(channel, message):
                    log.info("Sent before over %s: %s", channel, message.subject)
                    continue
                # Not called, as Airflow calls a notifier: that would render templates, and other people's names with
                # them.
                make(message).notify({})
                log.info("Sent over %s: %s", channel, message.subject)
                if sent:
                    sent.add(channel, message)
            except Exception as error:  # any channel's
                # Airflow knows the secrets of the connections that it has read, such as a webhook's address.
                why = redact(f"{type(error).__name__}: {error}")
                log.error("Not sent over %s: %s: %s", channel, message.subject, why)
                failed[channel] = None
    return list(failed)


def _channels(settings: Settings) -> Iterator[tuple[str, Callable[[Message], BaseNotifier]]]:
    """The channels that are set: a name, and what makes Airflow's notifier of a message.

    The quickest to give up comes first.
    """
    if conn_id := settings.alert_slack_conn_id:
        yield f"Slack connection {conn_id}", lambda message: _slack(conn_id, message)
    if settings.alert_email_to:
        yield "e-mail", lambda message: _email(settings.alert_email_to, message)
    if topic := settings.alert_sns_topic_arn:
        yield f"SNS topic {topic}", lambda message: _sns(topic, settings.aws_conn_id, message)


def _airflow_address() -> str:
    """Where people reach Airflow, without a slash at the end; empty when it does not know."""
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def _slack(conn_id: str, message: Message) -> BaseNotifier:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    return SlackWebhookNotifier(
        slack_webhook_conn_id=conn_id,
        text=message.as_slack(),
        unfurl_links=False,
        unfurl_media=False,
        timeout=_TIMEOUT,
        # Slack's own would log the webhook's address, a secret, when it tries again.
        retry_handlers=[],
    )


def _email(to: Iterable[str], message: Message) -> BaseNotifier:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(to=list(to), subject=message.subject, html_content=message.as_html())


def _sns(topic_arn: str, conn_id: str | None, message: Message) -> BaseNotifier:
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    return SnsNotifier(
        aws_conn_id=conn_id,
        target_arn=topic_arn,
        region_name=topic_arn.split(":")[3],
        subject=message.short_subject,
        message=message.body,
    )
