"""The texts of sql/ that verdicts and their roll-up rest on, and one hash over all of them.

A policy's own hash covers policy.yaml and logic.sql: it marks a verdict that a changed policy changed. The verdict
rests on macros, inputs and marts as well, whose change makes no such mark; this hash covers them, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

# Files and folders of sql/. Nothing else of it is read to evaluate a night, to roll it up or to check it.
_RESTED_ON = (
    *("macros.sql", "published_macros.sql"),
    *("staging", "marts", "checks", "policies", "frameworks"),
)


def read_texts(sql_root: Path) -> dict[str, bytes]:
    """The texts, by their names relative to sql/, sorted. Raises OSError."""
    files = [
        path
        for name in _RESTED_ON
        for path in ([sql_root / name] if "." in name else (sql_root / name).rglob("*"))
        if path.is_file()
    ]
    return {
        name: (sql_root / name).read_bytes() for name in sorted(path.relative_to(sql_root).as_posix() for path in files)
    }


def texts_hash(texts: Mapping[str, bytes]) -> str:
    """The SHA-256 (hex) of the texts, as `sha256sum` lists them: hash, two blanks and name of each, sorted by name."""
    lines = (f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in sorted(texts.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
