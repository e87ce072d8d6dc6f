"""Last known values: a value that could not be read tonight is carried over, with the time when it was read.

Some values are read apart from their row: a repository's tags by a call of their own, an account's unit from the tree
of units. Each has a column with the time when it was read. Where the row could be read and the value could not, both
are those of the newest snapshot: the time ages and the value stays, night after night, until it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_audit.aws.ecr.facet import Declaration
from ecr_audit.aws.ecr.tags import TAGS
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES


def last_known_commit(lake: Lake, snapshot_date: date) -> Commit | None:
    """The newest inventory up to and including a date: the last known values before tonight's commit."""
    return lake.read_commit("inventory", snapshot_date) or lake.previous_commit("inventory", snapshot_date)


def completed_repositories(rows: pa.Table) -> pa.Table:
    """Rows of `repositories` of any version: one without `tags_read_at` knew tags as old as the row only."""
    knew_when = TAGS.read_at in rows.schema.names
    rows = REPOSITORIES.completed(rows)
    if knew_when:
        return rows
    read_at = pc.if_else(rows["tags"].is_valid(), rows["collected_at"], None)
    return rows.set_column(rows.schema.get_field_index(TAGS.read_at), rows.schema.field(TAGS.read_at), read_at)


def keep_last_known(rows: pa.Table, known: pa.Table, declaration: Declaration, arn: str) -> pa.Table:
    """Rows of repositories or registries; where a facet was not read, with its last known values, null if unknown.

    Values that were not to be read tonight count as not read, too. `arn`: the column that identifies a row. A
    repository that was deleted and created again is another one, and does not inherit its namesake's values.
    """
    is_unread = rows[declaration.read_at].is_null()
    if not pc.any(is_unread).as_py() or not known.num_rows:
        return rows
    unread = rows.filter(is_unread)
    places = pc.index_in(unread[arn], value_set=known[arn])
    if "created_at" in rows.schema.names:
        is_another = pc.not_equal(known["created_at"].take(places), unread["created_at"])
        # Null: one of the two is not known, which says nothing of another (as in sql/staging/recreated.sql).
        places = pc.if_else(pc.fill_null(is_another, False), None, places)
    for column in (*declaration.columns, declaration.read_at):
        index = unread.schema.get_field_index(column)
        unread = unread.set_column(index, unread.schema.field(index), known[column].take(places))
    unread = _with_last_failures(unread, known["facets_failed"].take(places), declaration.facet)
    return pa.concat_tables([rows.filter(pc.invert(is_unread)), unread])


def _with_last_failures(unread: pa.Table, known: pa.ChunkedArray, facet: str) -> pa.Table:
    """Rows without a value of a facet; those whose turn it is not, with the failure of their last turn.

    Otherwise a value that AWS refuses would look like one whose turn has not come.
    """
    if not pc.any(pc.greater(pc.list_value_length(known), 0)).as_py():
        return unread
    index = unread.schema.get_field_index("facets_failed")
    failures = [
        tonight
        if any(each["facet"] == facet for each in tonight or ())
        else [*(tonight or ()), *(each for each in earlier or () if each["facet"] == facet)]
        for tonight, earlier in zip(unread["facets_failed"].to_pylist(), known.to_pylist(), strict=True)
    ]
    field = unread.schema.field(index)
    return unread.set_column(index, field, pa.array(failures, field.type))


# Columns of `accounts` that are read together, and apart from the account's id and state.
_DETAILS = (("account_name",), ("ou_id", "ou_path", "unit_ids"), ("joined_at",))


def known_accounts(lake: Lake, snapshot_date: date) -> dict[str, dict[str, Any]]:
    """The accounts of the newest inventory up to a date, by id."""
    commit = last_known_commit(lake, snapshot_date)
    if commit is None:
        return {}
    rows = ACCOUNTS.completed(lake.read_table(commit, ACCOUNTS)).to_pylist()
    # An older version did not store when.
    unsaid = {"details_read_at": commit.committed_at} if ACCOUNTS.lacking(commit.schema_version) else {}
    return {row["account_id"]: row | unsaid for row in rows}


def keep_last_known_details(
    accounts: Sequence[Mapping[str, Any]], known: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of `accounts`; where AWS gave no name, unit or date of joining tonight, with those that are known.

    A unit lacks when the account was moved while the tree of units was read. One that is kept has the path that it has
    tonight, as far as known from other accounts in it, or in units above it.
    """
    rows = [_with_details(row, known.get(row["account_id"], {})) for row in accounts]
    tree = _Tree.of(row for row in rows if row["details_read_at"] == row["collected_at"])
    kept = [row for row in rows if row["ou_id"] and row["details_read_at"] != row["collected_at"]]
    id_of = {row["ou_path"]: row["ou_id"] for row in kept} | tree.id_of
    for row in kept:
        row |= tree.placed(row["ou_path"], row["unit_ids"] or _known_ids(row, id_of))
    return rows


@dataclass(frozen=True)
class _Tree:
    """The units that are known to be tonight: the path and the ids along it of each unit, by its id."""

    places: Mapping[str, tuple[str, Sequence[str | None]]]

    @classmethod
    def of(cls, accounts: Iterable[Mapping[str, Any]]) -> _Tree:
        """The units that these accounts are in."""
        places: dict[str, tuple[str, Sequence[str | None]]] = {}
        for row in accounts:
            steps = row["ou_path"].split("/")
            for depth, unit_id in enumerate(row["unit_ids"], start=1):
                places[unit_id] = ("/".join(steps[:depth]), row["unit_ids"][:depth])
        return cls(places)

    @property
    def id_of(self) -> dict[str, str]:
        """The id of the unit of each path."""
        return {path: unit_id for unit_id, (path, _) in self.places.items()}

    def placed(self, ou_path: str, unit_ids: Sequence[str | None]) -> dict[str, Any]:
        """An earlier path with its ids, as far as the tree has units with those names now."""
        for depth in range(len(unit_ids), 0, -1):
            if (unit_id := unit_ids[depth - 1]) and (place := self.places.get(unit_id)):
                path = "/".join([place[0], *ou_path.split("/")[depth:]])
                return {"ou_path": path, "unit_ids": (*place[1], *unit_ids[depth:])}
        return {"ou_path": ou_path, "unit_ids": unit_ids}


def _known_ids(row: Mapping[str, Any], id_of: Mapping[str, str]) -> Sequence[str | None]:
    """The ids along the path of a row of a version before 5, which has none; None if no account has them."""
    steps = row["ou_path"].split("/")
    return [*(id_of.get("/".join(steps[:depth])) for depth in range(1, len(steps))), row["ou_id"]]


def _with_details(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        column: known[column]
        for columns in _DETAILS
        if not row[columns[0]] and known.get(columns[0])
        for column in columns
    }
    # Every account is in a unit, or the root: without one it was not read. Names and dates may never have been given.
    read_at = known["details_read_at"] if kept else row["collected_at"] if row["ou_id"] else None
    return {**row, **kept, "details_read_at": read_at}
