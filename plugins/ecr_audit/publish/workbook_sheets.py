"""The sheets of the auditors' workbook: what each shows, in which order, and which of its columns go on paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from ecr_audit.publish.tables import WITHOUT_CSV

# Excel could open ten times as many (1,048,576); too many to read, and they take minutes to write.
MAX_ROWS = 100_000


@dataclass(frozen=True)
class Sheet:
    """A sheet: its tab, the published table that has all of its rows, how many columns go on paper, its query.

    `order` says in words how the query sorts: which rows are there when not all of them are. `parameters` are those
    that the query names, as $name.
    """

    name: str
    table: str
    printed: int
    order: str
    query: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first_rows(self) -> str:
        """The query of the rows that the sheet has."""
        return f"{self.query} LIMIT {MAX_ROWS}"

    @staticmethod
    def is_cut(rows: int) -> bool:
        """Whether the sheet has fewer than `rows` rows."""
        return rows > MAX_ROWS

    def rows_in_words(self, rows: int) -> str:
        """The number of rows in the sheet, out of `rows`, and the file with all of them."""
        if not self.is_cut(rows):
            return f"{rows:,}"
        kind = "parquet" if self.table in WITHOUT_CSV else "csv"
        return f"{MAX_ROWS:,} of {rows:,} rows; all are in {self.table}.{kind}"


# The columns of findings as the workbook has them, those first that an auditor needs on paper. The ARN names account,
# region and repository; these have columns of their own after it, to filter by.
FINDINGS_COLUMNS = """
    split_part(policy_id, '/', -1) AS policy, repository_arn, account_name, ou_path, owner, status, observed,
    incompliant_start_date, age_days, started_known, waived, waiver_id, overwritable_tags, exclusion_filters,
    account_id, region, repository_name, * EXCLUDE (
        snapshot_date, policy_id, repository_arn, account_name, ou_path, owner, status, observed,
        incompliant_start_date, age_days, started_known, waived, waiver_id, overwritable_tags, exclusion_filters,
        account_id, region, repository_name
    )
"""
FINDINGS_PRINTED = 14

# Among the commands, the sheet of findings has only the one that should be run, fix_command.
SHEETS = (
    Sheet(
        "Findings",
        "findings",
        FINDINGS_PRINTED,
        "policies of a framework first, then by severity, then by age",
        f"""
        SELECT {FINDINGS_COLUMNS}
        FROM (SELECT * EXCLUDE (remediation_command) FROM findings) AS findings
        ORDER BY
            policy_id IN (SELECT policy_id FROM section_policies) DESC,
            (
                SELECT list_position(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], severity)
                FROM policies
                WHERE policies.policy_id = findings.policy_id
            ),
            policy,
            age_days DESC,
            account_id,
            region,
            repository_name
        """,
    ),
    Sheet(
        "Policies",
        "policies",
        13,
        "the most severe first",
        """
        SELECT
            split_part(policy_id, '/', -1) AS policy, contextual_name, severity, compliance_percent,
            compliance_percent_with_waivers, compliant, incompliant, waived, undetermined, inapplicable, input, facets,
            similar_policies, categories, flags, description, policy_id, policy_hash
        FROM policies
        JOIN compliance_daily USING (policy_id)
        WHERE scope_type = 'organization'
            AND snapshot_date = (SELECT snapshot_date FROM publication)
        ORDER BY list_position(['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], severity), policy
        """,
    ),
    Sheet(
        "Linked sections",
        "section_compliance",
        14,
        "by framework",
        """
        SELECT
            framework_name, section_number, section_title, sub_sections, internal_rules, policies, flags,
            compliance_percent, compliance_percent_with_waivers, compliant, incompliant, waived, undetermined,
            coverage_percent, inapplicable, disappeared, section_id
        FROM section_compliance
        WHERE scope_type = 'organization'
            AND snapshot_date = (SELECT snapshot_date FROM publication)
            AND section_id IN (SELECT section_id FROM section_policies)
        ORDER BY framework_name, position
        """,
    ),
    Sheet(
        "Tag moves",
        "tag_moves",
        12,
        "the newest night first, in it release tags first",
        """
        SELECT
            snapshot_date, tag, is_release, kind, repository_arn, account_name, ou_path, owner, seen_before, seen_after,
            setting_before, setting_after, old_digest, new_digest, account_id, region, repository_name, * EXCLUDE (
                snapshot_date, tag, is_release, kind, repository_arn, account_name, ou_path, owner, seen_before,
                seen_after, setting_before, setting_after, old_digest, new_digest, account_id, region, repository_name
            )
        FROM tag_moves
        ORDER BY snapshot_date DESC, is_release DESC, account_id, repository_arn, tag
        """,
    ),
    Sheet(
        "Remediation plan",
        "remediation_plan",
        13,
        "by action, then by policy, account and repository",
        """
        SELECT
            action, rule, split_part(policy_id, '/', -1) AS policy, repository_arn, account_name, ou_path, owner,
            current_setting, proposed_setting, proposed_filters, closes_finding, evidence_nights, moving_tags,
            managed_by, account_id, region, repository_name, * EXCLUDE (
                snapshot_date, action, rule, policy_id, repository_arn, account_name, ou_path, owner, current_setting,
                proposed_setting, proposed_filters, closes_finding, evidence_nights, moving_tags, managed_by,
                account_id, region, repository_name
            )
        FROM remediation_plan
        ORDER BY action, policy, account_id, region, repository_name
        """,
    ),
    Sheet(
        "Coverage",
        "coverage",
        12,
        "lowest coverage first",
        """
        SELECT
            account_id, account_name, ou_path, state, coverage_percent, targets, collected, region_disabled,
            account_inactive, repositories_observed, repositories_unseen, first_day_not_seen, * EXCLUDE (
                snapshot_date, account_id, account_name, ou_path, state, coverage_percent, targets, collected,
                region_disabled, account_inactive, repositories_observed, repositories_unseen, first_day_not_seen
            )
        FROM coverage
        ORDER BY coverage_percent NULLS LAST, account_id
        """,
    ),
    Sheet(
        "Registries",
        "registries",
        9,
        "by account and region",
        """
        SELECT
            account_id, account_name, ou_path, region,
            list_transform(
                creation_templates,
                lambda template: concat_ws(
                    ' ', template.prefix, coalesce(template.image_tag_mutability, 'MUTABLE (left out)'),
                    array_to_string(template.exclusion_filters, ' ')
                )
            ) AS creation_templates,
            list_transform(
                pull_through_rules, lambda rule: concat_ws(' ', rule.prefix, rule.upstream_registry_url)
            ) AS pull_through_rules,
            registries_read_at, registries_unread, observed, registry_arn, collected_at
        FROM registries
        ORDER BY account_id, region
        """,
    ),
    Sheet(
        "Waivers",
        "waivers",
        16,
        "by status",
        """
        SELECT
            waiver_id, status, created, expires, days_left, matched_findings, split_part(policy_id, '/', -1) AS policy,
            repository, account_id, ou_path, region, tag_key, tag_value, reason, approved_by, ticket, * EXCLUDE (
                snapshot_date, waiver_id, status, created, expires, days_left, matched_findings, policy_id,
                repository, account_id, ou_path, region, tag_key, tag_value, reason, approved_by, ticket
            )
        FROM waivers
        ORDER BY status, expires, waiver_id
        """,
    ),
)


class PublishedRows:
    """The contents of a workbook from a published database; `publication` is the row of the table of that name."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self.database = database
        [self.publication] = self.rows("SELECT * FROM publication")

    def count(self, sheet: Sheet) -> int:
        """How many rows the query of a sheet has."""
        query = f"SELECT count(*) FROM ({sheet.query})"
        [(rows,)] = self.database.execute(query, dict(sheet.parameters) or None).fetchall()
        return int(rows)

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
        """The rows of a query, by the names of their columns."""
        result = self.database.execute(query, dict(parameters or {}) or None)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]
