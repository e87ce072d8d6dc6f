"""Sentences on values that could not be read tonight, for the terminal, the pages, the alerts and the workbook.

All of it is the published table `unread_values` (sql/marts/unread_values.sql).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import duckdb

from ecr_audit.text import plural
from ecr_audit.vocabulary import FACET_WORDS, OBJECT_WORDS, Facet, facet_input
from ecr_audit.warehouse.statements import read_statement

# The query whose rows `sentences` takes; for pages, which ask it with their own reader.
QUERY = "unread_values"


def unread_sentences(published: duckdb.DuckDBPyConnection) -> list[str]:
    """The sentences on a published file. Empty when everything was read."""
    cursor = published.execute(read_statement(f"pages/{QUERY}").text, {"account_id": None})
    columns = [column for column, *_ in cursor.description or ()]
    return sentences(dict(zip(columns, row, strict=True)) for row in cursor.fetchall())


def sentences(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """One for each kind of value: what could not be read, since when, and what rests on it."""
    return [_KINDS[row["kind"]](row) for row in rows]


def nothing_changed(coverage_percent: float | None, unread: Sequence[str]) -> str:
    """The words for a night without changes, limited to what was read. `unread`: the sentences."""
    is_all_read = coverage_percent in (None, 100) and not unread
    return "nothing changed" if is_all_read else "nothing changed in what was read"


def _tags(row: Mapping[str, Any]) -> str:
    known, unknown = row["repositories"], row["repositories_without_value"]
    where = f"{plural(known + unknown, 'repository', 'repositories')} in {plural(row['accounts'], 'account')}"
    codes = ", ".join(code.removeprefix("Tags.") for code in row["error_codes"] or ())
    parts = [f"The tags of {where} could not be read ({codes})."]
    if known:
        parts.append(f"The owners and waivers of {known:,} are based on tags last read {_when(row)}.")
    if unknown:
        parts.append(
            f"For {unknown:,} no tags are known: the account counts as the owner, and waivers by tag do not apply."
        )
    return " ".join(parts)


def _account(row: Mapping[str, Any]) -> str:
    accounts, never = row["accounts"], row["never_read"]
    parts = [f"The name or unit of {plural(accounts, 'account')} could not be read."]
    if accounts > never:
        count = plural(row["repositories"], "repository", "repositories")
        parts.append(f"For {accounts - never:,}, with {count}, those last read {_when(row)} count.")
    if never:
        parts.append(f"The unit of {never:,} is unknown.")
    return " ".join(parts)


def _regions(row: Mapping[str, Any]) -> str:
    source = "botocore's list was used, which may lack a new region"
    if not row["never_read"]:
        source = f"those that it returned {_when(row)} were used"
    return f"EC2 did not return the regions (ec2:DescribeRegions in the hub account): {source}."


def _waivers(row: Mapping[str, Any]) -> str:
    findings = plural(row["repositories"], "repository", "repositories")
    return (
        f"The file of waivers (ECR_AUDIT_WAIVERS) could not be read: the waivers last read {_when(row)} count, for "
        f"{findings}."
    )


def _facet(row: Mapping[str, Any]) -> str:
    """A facet that policies read, other than tags. unread_facets.py has its consequences for all accounts."""
    facet = Facet(row["kind"])
    objects = row["repositories"] + row["repositories_without_value"]
    where = f"{plural(objects, *OBJECT_WORDS[facet_input(facet)])} in {plural(row['accounts'], 'account')}"
    codes = ", ".join(row["error_codes"] or ())
    return (
        f"The {FACET_WORDS[facet]} of {where} could not be read{f' ({codes})' if codes else ''}. Where no earlier value"
        " stands, policies that read it leave them undetermined."
    )


_KINDS: dict[str, Callable[[Mapping[str, Any]], str]] = dict.fromkeys(Facet, _facet) | {
    Facet.TAGS: _tags,
    "account": _account,
    "regions": _regions,
    "waivers": _waivers,
}


def _when(row: Mapping[str, Any]) -> str:
    first, last = row["first_read_date"], row["last_read_date"]
    return f"on {first}" if first == last else f"between {first} and {last}"
