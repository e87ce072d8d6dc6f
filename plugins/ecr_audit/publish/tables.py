"""The published tables and views, and the SQL that each is made of."""

from __future__ import annotations

# With the actors of the same reading of a night's tags: it may have been read again, with other moves, after its trail.
# Sorted, for a join does not keep the order of its rows.
_TAG_MOVES = (
    "FROM lake.tag_moves_history"
    " LEFT JOIN lake.tag_actors_history USING (snapshot_date, account_id, repository_arn, tag, new_digest, seen_after)"
    " SELECT snapshot_date, * EXCLUDE (snapshot_date)"
    " ORDER BY snapshot_date, account_id, repository_arn, tag"
)

# The published tables, and the SQL that each is made of: a file of sql/, or a table of the session as it is. In this
# order: one may read those before it, as `published.<table>`.
TABLES = {
    "repositories": "marts/repositories",
    "registries": "marts/registries",
    "accounts": "FROM lake.accounts",
    "account_history": "marts/account_history",
    "scan_targets": "FROM lake.scan_targets",
    "policy_output": "FROM lake.policy_output",
    "policy_run": "FROM lake.policy_run_history",
    "nights": "marts/nights",
    "policies": "FROM catalog.policies SELECT * EXCLUDE (finding_columns, passing_mutability)",
    "frameworks": "FROM catalog.frameworks",
    "sections": "FROM catalog.sections",
    "section_policies": "FROM catalog.section_policies",
    "section_compliance": "marts/section_compliance_history",
    "tag_moves": _TAG_MOVES,
    "repository_image_tags": "marts/repository_image_tags",
    "remediation_plan": "marts/remediation_plan",
    "findings": "marts/findings",
    "findings_history": "marts/findings_history",
    "changes": "FROM lake.changes_history SELECT *, resource_type(repository_arn) AS object_type",
    "remediation_actions": "FROM lake.remediation_actions_history SELECT snapshot_date, * EXCLUDE (snapshot_date)",
    "remediation_approvals": "FROM lake.remediation_approvals_history SELECT snapshot_date, * EXCLUDE (snapshot_date)",
    "security_hub_imports": "FROM lake.security_hub_imports",
    "coverage": "marts/coverage_with_last_read",
    "compliance_daily": "marts/compliance_daily",
    "ou_ancestors": "marts/ou_ancestors",
    "account_compliance": "marts/account_compliance",
    "ou_compliance": "marts/ou_compliance",
    "owner_compliance": "marts/owner_compliance",
    "region_compliance": "marts/region_compliance",
    "time_to_fix": "marts/time_to_fix",
    "findings_survival": "marts/findings_survival",
    "policy_disagreements": "marts/policy_disagreements",
    "unread_values": "marts/unread_values",
    "undetermined_reasons": "marts/undetermined_reasons",
    "waivers": "FROM lake.waivers",
    "publication": "marts/publication",
}

# Views of published tables, which are in the databases and in no file beside them: the same rows once more.
VIEWS = {"open_findings": "marts/open_findings"}

# These have a row for everything: with a million repositories, their CSV is too large for any spreadsheet.
# What there is to do is in `findings`, which has one.
WITHOUT_CSV = ("repositories", "policy_output", "tag_moves", "repository_image_tags")
