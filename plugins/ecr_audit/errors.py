"""The kind of fault that no retry mends. Light to import, since DAG files name it in their retry policy."""

from __future__ import annotations


class FinalError(Exception):
    """A fault that the same run would meet again: somebody has to mend its cause first.

    A wrong setting, a policy that does not load, data that fail a check. The message says what to do.
    """
