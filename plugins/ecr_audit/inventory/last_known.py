"""What could not be read tonight is not gone: the value that was last read counts, with the time of its reading.

Some values are read apart from their row: a repository's tags by a call of their own, an account's unit from the tree
of units. Each has a column that says when it was read. Where the row could be read and the value could not, both are
those of the newest snapshot: the time ages and the value stays, night after night, until it is read again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_audit.lake import Commit, Lake
from ecr_audit.schemas import ACCOUNTS, REPOSITORIES


@dataclass(frozen=True)
class ReadApart:
    """Columns of `repositories` that are read by a call of their own, and the column that says when they were."""

    columns: tuple[str, ...]
    read_at: str


TAGS = ReadApart(("tags",), "tags_read_at")


def last_known_commit(lake: Lake, snapshot_date: date) -> Commit | None:
    """The newest inventory up to and including a date: what is known before tonight's reading is committed."""
    return lake.read_commit("inventory", snapshot_date) or lake.previous_commit("inventory", snapshot_date)


def completed_repositories(rows: pa.Table) -> pa.Table:
    """Rows of `repositories` of any version: one without `tags_read_at` knew tags as old as the row only."""
    if TAGS.read_at in rows.schema.names:
        return rows
    rows = REPOSITORIES.completed(rows)
    read_at = pc.if_else(rows["tags"].is_valid(), rows["collected_at"], None)
    return rows.set_column(rows.schema.get_field_index(TAGS.read_at), rows.schema.field(TAGS.read_at), read_at)


def keep_last_known(unread: pa.Table, known: pa.Table, value: ReadApart) -> pa.Table:
    """Repositories whose value could not be read, with the value that is known of each; null where none is.

    A repository that was deleted and created again is another one, and does not inherit its namesake's value.
    """
    places = pc.index_in(unread["repository_arn"], value_set=known["repository_arn"])
    is_another = pc.not_equal(known["created_at"].take(places), unread["created_at"])
    # Null: one of the two is not known, which says nothing of another (as in sql/staging/recreated.sql).
    places = pc.if_else(pc.fill_null(is_another, False), None, places)
    for column in (*value.columns, value.read_at):
        index = unread.schema.get_field_index(column)
        unread = unread.set_column(index, unread.schema.field(index), known[column].take(places))
    return unread


# Columns of `accounts` that are read together, and apart from the account's id and state.
_DETAILS = (("account_name",), ("ou_id", "ou_path"), ("joined_at",))


def known_accounts(lake: Lake, snapshot_date: date) -> dict[str, dict[str, Any]]:
    """The accounts of the newest inventory up to a date, by id."""
    commit = last_known_commit(lake, snapshot_date)
    if commit is None:
        return {}
    rows = ACCOUNTS.completed(lake.open_table(commit, ACCOUNTS).read()).to_pylist()
    # An older version did not say when.
    unsaid = {"details_read_at": commit.committed_at} if ACCOUNTS.lacking(commit.schema_version) else {}
    return {row["account_id"]: row | unsaid for row in rows}


def keep_last_known_details(
    accounts: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of `accounts`; where AWS gave no name, unit or date of joining tonight, with those that are known.

    A unit lacks when the account was moved while the tree of units was read.
    """
    return [_with_details(row, known.get(row["account_id"], {})) for row in accounts]


def _with_details(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        column: known[column]
        for columns in _DETAILS
        if not row[columns[0]] and known.get(columns[0])
        for column in columns
    }
    # Every account is in a unit, or the root: without one it was not read. Names and dates may never have been given.
    read_at = known["details_read_at"] if kept else row["collected_at"] if row["ou_id"] else None
    if kept.get("ou_id"):
        # The units above it are not in the lake.
        kept["unit_ids"] = (kept["ou_id"],)
    return {**row, **kept, "details_read_at": read_at}
