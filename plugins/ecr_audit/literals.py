"""Literals of SQL, for statements and places that take no parameters."""

from __future__ import annotations

from collections.abc import Iterable


def literal(text: object) -> str:
    """A text as SQL has it."""
    return "'" + str(text).replace("'", "''") + "'"


def literals(texts: Iterable[object]) -> str:
    """Several, with commas between: the inside of a list, an IN or an ENUM."""
    return ", ".join(map(literal, texts))
