"""A message, escaped for each channel so that names in it are never interpreted as markup.

Names, units, owner tags and reasons are other people's text: in a message they are `plain` (text.py), and each channel
then escapes its own markup.
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from ecr_audit.aws.permissions import Option, Permission, Role

# Airflow's notifier sends (ecr_audit_airflow/alerts.py): in a task as the hub, in a callback as a reader.
PERMISSIONS = (
    Permission((Role.HUB, Role.READER), "sns:Publish", "to send alerts to the topic", ("{topic}",), Option.TOPIC),
)

# Maximum length of a subject in SNS (Publish, Amazon SNS API Reference).
_SUBJECT = 100


@dataclass(frozen=True)
class Message:
    """A subject, and lines of plain text. Made with `plain` where the text is other people's."""

    subject: str
    lines: tuple[str, ...]

    @property
    def body(self) -> str:
        """The text without the subject."""
        return "\n".join(self.lines)

    @property
    def short_subject(self) -> str:
        """The subject for headers: one line of at most 100 ASCII characters, as SNS requires."""
        line = " ".join(self.subject.encode("ascii", "replace").decode().split())
        return line if len(line) <= _SUBJECT else f"{line[: _SUBJECT - 3]}..."

    def as_slack(self) -> str:
        """As text for Slack, where `<!channel>` would notify everybody.

        Source: "Formatting text for app surfaces", docs.slack.dev: these three are its control characters.
        """
        text = f"{self.subject}\n{self.body}"
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def as_html(self) -> str:
        """As HTML that looks as the plain text does, for e-mail."""
        return f'<pre style="font: inherit; white-space: pre-wrap">{html.escape(self.body)}</pre>'
