"""Organizational units of small lakes."""

from __future__ import annotations

import hashlib


def unit_id(path: str) -> str:
    """The id of the unit of a path, as `SmallLake.scan` makes it up where a test gives none."""
    return f"ou-test-{hashlib.sha256(path.encode()).hexdigest()[:8]}" if "/" in path else "r-test"
