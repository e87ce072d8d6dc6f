"""The error that a retry cannot fix. Light to import, since DAG files name it in their retry policy."""

from __future__ import annotations


class FinalError(Exception):
    """A fault that the same run would meet again: its cause has to be fixed first.

    An invalid setting, a policy that does not load, data that fail a check. The message says what to do.
    """
