"""A record of sent messages: a small file in the lake for each message and channel, written after it was accepted.

    <lake>/_alerts/snapshot_date=YYYY-MM-DD/<hash of channel and message>.json

So a message is sent to a channel once, however often a task is retried or a day is evaluated again; it is sent twice
only if the process dies between the channel's answer and the file. A day that was evaluated again with other
results makes another message, which is sent.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

from ecr_audit.alerts.message import Message
from ecr_audit.lake.lake import Lake

_FOLDER = "_alerts"

# Nights whose records are kept: older alerts are not repeated.
_NIGHTS = 30


class Sent:
    """The messages sent on the night of a snapshot."""

    def __init__(self, lake: Lake, snapshot_date: date) -> None:
        self._lake = lake
        self._folder = f"{_FOLDER}/snapshot_date={snapshot_date}"

    def has(self, channel: str, message: Message) -> bool:
        """Whether the message was sent to a channel. Raises LakeError."""
        return self._lake.storage.exists(self._name(channel, message))

    def add(self, channel: str, message: Message) -> None:
        """Record that a channel accepted the message, and remove old records. Raises LakeError."""
        record = {"channel": channel, "subject": message.subject, "sent_at": datetime.now(UTC).isoformat()}
        with self._lake.storage.scratch("alerts") as folder:
            file = folder / "sent.json"
            file.write_text(json.dumps(record), encoding="utf-8")
            self._lake.storage.move_in(file, self._name(channel, message))
        for old in self._lake.storage.folders(_FOLDER)[:-_NIGHTS]:
            self._lake.storage.remove_folder(f"{_FOLDER}/{old}")

    def _name(self, channel: str, message: Message) -> str:
        content = "\0".join((channel, message.subject, message.body))
        return f"{self._folder}/{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
