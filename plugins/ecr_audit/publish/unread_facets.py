"""Sentences on policies that could not evaluate, since a facet that they read was not read: for pages and the terminal.

All of it is the published table `undetermined_reasons` (sql/marts/undetermined_reasons.sql).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import duckdb

from ecr_audit.aws.ecr.facet_permissions import FACET_PERMISSIONS, LIST_IMAGES
from ecr_audit.aws.permissions import DENIED
from ecr_audit.text import plural
from ecr_audit.vocabulary import FACET_WORDS, IMAGE_TAGS_FACET, OBJECT_WORDS, Facet, facet_input
from ecr_audit.warehouse.statements import read_statement

# The query whose rows `sentences` takes; for pages, which ask it with their own reader.
QUERY = "unread_facets"


def unread_facet_sentences(
    published: duckdb.DuckDBPyConnection, facets: Container[str] = frozenset(FACET_WORDS)
) -> list[str]:
    """The sentences on some facets, of a published file. Empty when every policy had what it reads."""
    cursor = published.execute(read_statement(f"pages/{QUERY}").text)
    columns = [column for column, *_ in cursor.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return sentences(row for row in rows if row["facet"] in facets)


def sentences(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """One for each facet and cause: policies that do not evaluate, what was not read, and the permissions that lack.

    They follow the words "Not evaluated".
    """
    return [_sentence(row["facet"], row) for row in rows]


def _sentence(facet: str, row: Mapping[str, Any]) -> str:
    objects = plural(row["objects"], *OBJECT_WORDS[facet_input(facet)])
    parts = [
        f"{'; '.join(row['policies'])}, for {objects} in {plural(row['accounts'], 'account')}.",
        f"Not read there: {FACET_WORDS[facet]} ({row['cause']}).",
    ]
    if actions := _missing_actions(facet, row["cause"]):
        parts.append(f"The audit role needs {' and '.join(actions)}.")
    return " ".join(parts)


def _missing_actions(facet: str, cause: str) -> list[str]:
    """The actions of IAM that a role needs to read a facet, where AWS refused it; none for another cause."""
    permissions = (LIST_IMAGES,) if facet == IMAGE_TAGS_FACET else FACET_PERMISSIONS[Facet(facet)]
    return [permission.action for permission in permissions] if cause in DENIED else []
