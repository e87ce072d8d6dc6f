"""Verification of an inventory before it is committed: one row per key, and the checks of sql/checks.

A failed check affects its target only: the target is FAILED, and its last known rows are carried over. So
nothing that evaluating would refuse becomes visible, or the base of the next night.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_audit.aws.outcomes import Outcome
from ecr_audit.inventory.rows import ScannedRows
from ecr_audit.lake.commits import SCHEMA_VERSION
from ecr_audit.lake.lake import SnapshotWriter
from ecr_audit.lake.schemas import REPOSITORIES, SCAN_TARGETS, STAGES
from ecr_audit.lake.tables import Input, LakeTable, SnapshotFiles, TableFiles

log = logging.getLogger(__name__)

ERROR_CODE = "ContradictoryData"

# Which of several rows of a key is kept: the last one seen.
_PREFERRED = {REPOSITORIES.name: [(column, "descending") for column in ("observed", "collected_at", "created_at")]}

# How often the rows of a target are left out before nothing is committed: those of the scan, then those of before.
_MOST_REFUSALS = 2


def one_row_a_key(rows: pa.Table, table: LakeTable) -> pa.Table:
    """The rows in the table's order, one of each key: older versions of the audit kept some twice."""
    by_key = [(column, "ascending") for column in table.sort_by]
    rows = rows.select(table.schema.names).sort_by(by_key)
    if not pc.any(_repeats(rows, table.key)).as_py():
        return rows
    rows = rows.sort_by([*by_key, *_PREFERRED.get(table.name, [])])
    return rows.filter(pa.concat_arrays([pa.array([True]), pc.invert(_repeats(rows, table.key)).combine_chunks()]))


def _repeats(rows: pa.Table, key: Sequence[str]) -> pa.ChunkedArray:
    """For each row but the first, whether it has the key of the row before it."""
    following, before = rows.slice(1), rows.slice(0, max(rows.num_rows - 1, 0))
    same = pc.equal(following[key[0]], before[key[0]])
    for column in key[1:]:
        same = pc.and_(same, pc.equal(following[column], before[column]))
    return pc.fill_null(same, False)


class Refusals:
    """The targets that failed checks, and the rows left out because of that."""

    def __init__(self) -> None:
        self._times: dict[tuple[str, str], int] = {}
        self._checks: dict[tuple[str, str], str] = {}

    def examine(self, writer: SnapshotWriter) -> list[str] | None:
        """Run the inventory's checks on tables that are written, but not committed.

        Returns the names of the checks, which they passed; None when some targets are refused, so that the tables have
        to be written again without what contradicts itself. Raises CheckError when that has been done and did not help.
        """
        # Both are needed at the very end, and take longer to import than most scans to commit.
        from ecr_audit.warehouse.checks import CheckError, examine, inventory_checks
        from ecr_audit.warehouse.session import Resources, open_session
        from ecr_audit.warehouse.statements import Statement

        checks = inventory_checks()
        findings, refused = [], {}
        with open_session(_written(writer), resources=Resources()) as warehouse:
            for check in checks:
                if finding := examine(warehouse, check):
                    findings.append(finding)
                    of_targets = f"SELECT DISTINCT account_id, region FROM ({check.statement.text}\n)"
                    for row in warehouse.query(Statement(finding.check, of_targets, frozenset())).to_pylist():
                        refused[row["account_id"], row["region"]] = finding
        if not findings:
            return [check.name for check in checks]
        for finding in findings:
            log.warning("Inconsistent data: %s", finding)
        for target, finding in refused.items():
            self._times[target] = self._times.get(target, 0) + 1
            self._checks[target] = finding.check
            if None in target or self._times[target] > _MOST_REFUSALS:
                raise CheckError(findings)
        return None

    def without_scanned(self, scanned: ScannedRows) -> ScannedRows:
        """The scanned rows, except those of rejected targets, which are FAILED and have no rows."""
        if not self._times:
            return scanned
        targets = scanned.targets
        is_refused = pc.and_(_is_among(targets, self._times), pc.equal(targets["outcome"], Outcome.COLLECTED.value))
        failed = [
            {
                **row,
                "outcome": Outcome.FAILED.value,
                "repository_count": None,
                "error_code": ERROR_CODE,
                "facets_failed": None,
                "error_message": f"Rejected by {self._checks[row['account_id'], row['region']]}: inconsistent data",
            }
            for row in targets.filter(is_refused).to_pylist()
        ]
        others = targets.filter(pc.invert(is_refused))
        targets = pa.concat_tables([others, pa.Table.from_pylist(failed, schema=SCAN_TARGETS.schema)])
        rows = (table.filter(pc.invert(_is_among(table, self._times))) for table in scanned[1:])
        return ScannedRows(targets, *rows)

    def without_known(self, known: ScannedRows) -> ScannedRows:
        """The last known rows, except those of targets whose known rows were rejected, too."""
        refused = [target for target, times in self._times.items() if times >= _MOST_REFUSALS]
        if not refused:
            return known
        rows = (table.filter(pc.invert(_is_among(table, refused))) for table in known[1:])
        return ScannedRows(known.targets, *rows)


def _written(writer: SnapshotWriter) -> SnapshotFiles:
    """The tables that are written, but not committed."""
    inputs = [
        Input(table.name, table, [TableFiles(writer.snapshot_date, writer.files(table), SCHEMA_VERSION)])
        for table in STAGES["inventory"]
    ]
    repositories = pq.read_metadata(writer.path(REPOSITORIES)).num_rows
    return SnapshotFiles(writer.snapshot_date, inputs, repositories, writer.folder)


def _is_among(rows: pa.Table, targets: Collection[tuple[str, str]]) -> pa.ChunkedArray:
    keys = pc.binary_join_element_wise(rows["account_id"], rows["region"], "/")
    return pc.is_in(keys, value_set=pa.array(["/".join(target) for target in targets], pa.string()))
