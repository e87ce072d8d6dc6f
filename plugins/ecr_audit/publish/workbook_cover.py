"""The cover of the workbook: its inputs, the coverage, the compliance of each policy, the definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecr_audit.inventory.missing import LeftOut, Missing
from ecr_audit.publish.policies import POLICIES_IN_ORDER
from ecr_audit.publish.unread_facets import unread_facet_sentences
from ecr_audit.publish.unread_values import unread_sentences
from ecr_audit.publish.workbook_cells import Cells
from ecr_audit.publish.workbook_sheets import PublishedRows, Sheet
from ecr_audit.vocabulary import STATUS_MEANINGS, TAG_MOVE_MEANINGS, WAIVER_MEANINGS

DEFINITIONS = {
    "Coverage": "Account-regions read / all account-regions without disabled regions and inactive accounts",
    **STATUS_MEANINGS,
    "Compliance, %": "Compliant / (compliant + incompliant); a waived finding is incompliant",
    "With waivers, %": "Compliant / (compliant + incompliant - waived): waived findings are left out",
    "observed: no": "Its account and region were not read in this night: the row has the last known values",
    "is_release: yes": "The tag looks like a version, a date, a commit or a build, which nobody expects to move",
    **{f"kind: {kind}": f"The tag {meaning}" for kind, meaning in TAG_MOVE_MEANINGS.items()},
    "started_known: no": "It began before the first scan: it is at least as old as age_days",
    **{f"Waiver: {status}": meaning for status, meaning in WAIVER_MEANINGS.items()},
}

_SEEN = """
    SELECT
        (SELECT count(*) FROM accounts) AS accounts,
        (SELECT count(*) FROM accounts WHERE state = 'ACTIVE') AS active,
        (SELECT count(*) FROM repositories) AS repositories,
        (SELECT count(*) FROM repositories WHERE NOT observed) AS unseen,
        (SELECT count(*) FROM nights WHERE missed) AS nights_missed
"""

_COMPLIANCE = f"""
    SELECT
        contextual_name AS "Policy",
        compliance_percent AS "Compliance, %",
        compliance_percent_with_waivers AS "With waivers, %",
        compliant AS "Compliant",
        incompliant AS "Incompliant",
        waived AS "Waived",
        undetermined AS "Undetermined",
        sections AS "Framework sections",
        severity AS "Severity"
    FROM compliance_daily
    JOIN (
{POLICIES_IN_ORDER}
) USING (policy_id)
    WHERE scope_type = 'organization'
        AND snapshot_date = (SELECT snapshot_date FROM publication)
    ORDER BY place
"""

# A finding that is UNDETERMINED in this night was INCOMPLIANT when it could last be evaluated.
_BY_POLICY = """
    SELECT policy, count(*) AS findings, count(*) FILTER (status = 'INCOMPLIANT') AS incompliant
    FROM ({findings})
    GROUP BY policy
    ORDER BY policy
"""

_POLICIES = f"""
    SELECT
        p.policy_id AS "Policy",
        (SELECT policy_hashes[p.policy_id] FROM publication) AS "Version (SHA-256)"
    FROM (
{POLICIES_IN_ORDER}
) AS p
    ORDER BY place
"""


@dataclass(frozen=True)
class Excerpt:
    """The scope of a workbook with part of the findings: the filter in words, and the numbers of findings.

    `findings` of `all_findings` under the policy; `coverage_percent` of the accounts and regions that the filter is
    limited to, None where nothing was to be seen.
    """

    filters: Mapping[str, str]
    findings: int
    all_findings: int
    coverage_percent: float | None


class Cover:
    """Fills the first page of a workbook."""

    def __init__(self, published: PublishedRows, cells: Cells) -> None:
        self._published = published
        self._cells = cells

    def write(self, page: Any, sheets: Sequence[Sheet], excerpt: Excerpt | None) -> None:
        """Fill a page of the workbook."""
        page.set_column(0, 0, 62)
        page.set_column(1, 8, 20)
        title = "evidence" if excerpt is None else "an excerpt of the findings"
        page.write_string(0, 0, f"ECR audit: {title}", self._cells.title)
        row = self._pairs(page, 2, self._made_of(sheets))
        if excerpt:
            row = self._pairs(page, row + 1, _described(excerpt))
        row = self._table(page, row + 1, self._published.rows(_COMPLIANCE))
        row = self._table(page, row + 1, self._published.rows(_POLICIES))
        self._pairs(page, row + 1, DEFINITIONS.items())

    def _made_of(self, sheets: Sequence[Sheet]) -> Iterator[tuple[str, Any]]:
        publication = self._published.publication
        [seen] = self._published.rows(_SEEN)
        yield "Organization", publication["organization_id"]
        yield "Snapshot (UTC date)", publication["snapshot_date"]
        yield "Published (UTC)", publication["published_at"]
        yield "Accounts", f"{seen['accounts']:,}, {seen['active']:,} of them active"
        yield "Repositories", f"{seen['repositories']:,}, {seen['unseen']:,} of them not seen in this night"
        yield "Coverage of the organization, % of account-regions read", publication["coverage_percent"]
        missing = Missing(publication["missing_accounts"] or (), publication["missing_regions"] or ())
        for sentence in missing.sentences():
            yield "In the settings, but unknown to AWS", sentence
        left_out = LeftOut(publication["left_out_accounts"] or (), publication["left_out_regions"] or ())
        for sentence in left_out.sentences():
            yield "Left out by the settings", sentence
        for sentence in unread_sentences(self._published.database):
            yield "Last known, since it could not be read", sentence
        for sentence in unread_facet_sentences(self._published.database):
            yield "Not evaluated, since it was not read", sentence
        yield "Nights missed before this one", seen["nights_missed"]
        yield "Repositories evaluated on (commit)", publication["inventory_commit"]
        yield "Verdicts (commit)", publication["compliance_commit"]
        yield "Evidence, newest entry (SHA-256)", publication["evidence_head"] or "not sealed"
        yield "Program version", publication["program_version"]
        for sheet in sheets:
            yield f"Rows in {sheet.name}", sheet.rows_in_words(self._published.count(sheet))
            if sheet.table == "findings":
                for row in self._published.rows(_BY_POLICY.format(findings=sheet.query), sheet.parameters):
                    counts = f"{row['findings']:,}, {row['incompliant']:,} of them INCOMPLIANT, the others UNDETERMINED"
                    yield f"Findings under {row['policy']}", counts

    def _table(self, page: Any, row: int, rows: Sequence[Mapping[str, Any]]) -> int:
        """Write rows under a header of their columns; returns the row after the last."""
        for index, name in enumerate(rows[0] if rows else ()):
            page.write_string(row, index, name, self._cells.header)
        for each in rows:
            row += 1
            for index, value in enumerate(each.values()):
                self._cells.write(page, row, index, value)
        return row + 1

    def _pairs(self, page: Any, row: int, pairs: Iterable[tuple[str, Any]]) -> int:
        for name, value in pairs:
            page.write_string(row, 0, name)
            self._cells.write(page, row, 1, value)
            row += 1
        return row


def _described(excerpt: Excerpt) -> Iterator[tuple[str, Any]]:
    yield "Part of the findings", f"{excerpt.findings:,} of {excerpt.all_findings:,} under the policy"
    for name, value in excerpt.filters.items():
        yield f"Filter: {name}", value
    yield "Coverage of the accounts and regions in this part, %", excerpt.coverage_percent
