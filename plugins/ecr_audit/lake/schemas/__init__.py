"""Arrow schemas of the lake's tables: the meaning of a row, and the sort order of the files of a snapshot.

A module for each stage; readers import the tables from here. `snapshot_date` is in no schema: it is the partition
(`snapshot_date=YYYY-MM-DD`), which every reader of Parquet adds. No table holds an e-mail address.
"""

from __future__ import annotations

from ecr_audit.lake.schemas.compliance import (
    CHANGES,
    COVERAGE,
    ENDED_FINDINGS,
    POLICY_OUTPUT,
    POLICY_RUN,
    ROLLED_UP,
    SCOPE_COMPLIANCE,
    SECTION_COMPLIANCE,
    STATUS_COUNTS,
    WAIVED_FINDINGS,
    WAIVER_COLUMNS,
    WAIVERS,
)
from ecr_audit.lake.schemas.image_tags import IMAGE_TAG_READS, IMAGE_TAGS, TAG_ACTORS, TAG_MOVES
from ecr_audit.lake.schemas.inventory import ACCOUNTS, REGISTRIES, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.schemas.remediation import PLANNED_CHANGES, REMEDIATION_ACTIONS, REMEDIATION_APPROVALS
from ecr_audit.lake.schemas.security_hub import SECURITY_HUB_IMPORTS
from ecr_audit.lake.tables import LakeTable

__all__ = [
    "ACCOUNTS",
    "CHANGES",
    "COVERAGE",
    "ENDED_FINDINGS",
    "IMAGE_TAGS",
    "IMAGE_TAG_READS",
    "KEPT",
    "PLANNED_CHANGES",
    "POLICY_OUTPUT",
    "POLICY_RUN",
    "REGISTRIES",
    "REMEDIATION_ACTIONS",
    "REMEDIATION_APPROVALS",
    "REPOSITORIES",
    "ROLLED_UP",
    "SCAN_TARGETS",
    "SCOPE_COMPLIANCE",
    "SECTION_COMPLIANCE",
    "SECURITY_HUB_IMPORTS",
    "STAGES",
    "STATUS_COUNTS",
    "TAG_ACTORS",
    "TAG_MOVES",
    "WAIVED_FINDINGS",
    "WAIVERS",
    "WAIVER_COLUMNS",
    "stage_tables",
]

# The lake is committed in stages, each by one commit file: what was seen, what was evaluated of it; what its image tags
# point to, which is read after it and only with ECR_AUDIT_IMAGE_TAGS; who moved them, with ECR_AUDIT_CLOUDTRAIL; what
# became of a day's remediation plans; and of the imports into Security Hub, with ECR_AUDIT_SECURITY_HUB_ROLE_NAME.
STAGES: dict[str, tuple[LakeTable, ...]] = {
    "inventory": (ACCOUNTS, SCAN_TARGETS, REPOSITORIES, REGISTRIES),
    "compliance": (POLICY_OUTPUT, *ROLLED_UP),
    "image_tags": (IMAGE_TAGS, IMAGE_TAG_READS, TAG_MOVES),
    "trail": (TAG_ACTORS,),
    "remediation": (REMEDIATION_ACTIONS, REMEDIATION_APPROVALS),
    "security_hub": (SECURITY_HUB_IMPORTS,),
}

# The tables of a night that stay when it is thinned, by stage. They are small, and say of their night what would be
# dear to find out later: publishing reads all nights of them.
KEPT: dict[str, tuple[LakeTable, ...]] = {
    "inventory": (),
    "compliance": ROLLED_UP,
    "image_tags": (TAG_MOVES,),
    "trail": (TAG_ACTORS,),
    "remediation": (REMEDIATION_ACTIONS, REMEDIATION_APPROVALS),
    "security_hub": (),
}


def stage_tables(stage: str, version: int) -> tuple[LakeTable, ...]:
    """The tables that a commit of that version of the schema has."""
    return tuple(table for table in STAGES[stage] if table.since <= version)
