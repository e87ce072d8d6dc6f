"""Snapshots in which a key has several rows, and how one of them is read.

AWS may list a repository or an account twice, and before lake schema version 5 nothing looked for that. Whatever is
joined with such a snapshot would double from night to night; so it is read with one row of each key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import duckdb

from ecr_audit.lake.schemas import ACCOUNTS, CHANGES, ENDED_FINDINGS, POLICY_OUTPUT, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.tables import LakeTable

# Tables with a row for each account, target or repository; all others count these. With which of several rows is read,
# as an ORDER BY: the one that was seen last; and a finding before what is not one, since it is over only when it was
# seen to be.
_PREFERRED = {
    ACCOUNTS.name: "joined_at",
    SCAN_TARGETS.name: "started_at DESC",
    REPOSITORIES.name: "collected_at DESC, created_at DESC",
    POLICY_OUTPUT.name: "is_finding(status, incompliant_start_date, incompliant_end_date) DESC, status_date",
    CHANGES.name: "incompliant_start_date",
    ENDED_FINDINGS.name: "incompliant_start_date",
}


def one_of_each_key(table: LakeTable) -> str | None:
    """The clause that leaves one row of each key and night; None for a table that needs none."""
    if table.name not in _PREFERRED:
        return None
    key = ", ".join(("snapshot_date", *table.key))
    return f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_PREFERRED[table.name]}) = 1"


def merge_repeated_keys(
    connection: duckdb.DuckDBPyConnection, name: str, table: LakeTable, nights: Sequence[date]
) -> int:
    """Let the view `lake.<name>` of a table show one row of each key and night. Returns how many rows it leaves out.

    Looks for keys with several rows in some nights only.
    """
    one_of_each = one_of_each_key(table)
    if one_of_each is None or not nights:
        return 0
    key = ", ".join(("snapshot_date", *table.key))

    def count_surplus(identity: str) -> int:
        [(surplus,)] = connection.execute(
            f"SELECT count(*) - count(DISTINCT {identity}) FROM lake.{name} WHERE list_contains($days, snapshot_date)",
            {"days": list(nights)},
        ).fetchall()
        return int(surplus)

    # Hashes first, which is much cheaper: mostly there is no surplus.
    surplus = count_surplus(f"hash({key})") and count_surplus(f"({key})")
    if surplus:
        connection.execute(
            f"""
            ALTER VIEW lake.{name} RENAME TO {name}_with_repeats;
            CREATE VIEW lake.{name} AS
            FROM lake.{name}_with_repeats
            {one_of_each}
            """
        )
    return surplus
