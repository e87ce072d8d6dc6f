"""Log lines by which a person follows the writing of a publication, where seconds pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


@contextmanager
def log_writing(what: str) -> Iterator[None]:
    """Log that `what` is being written, and when it is complete, in how many seconds.

    The record of the beginning has the attribute `begins`: `make audit` shows it only until the next one.
    """
    log.info("Writing: %s", what, extra={"begins": True})
    began = time.monotonic()
    yield
    log.info("Written: %s (%.1f s)", what, time.monotonic() - began)
