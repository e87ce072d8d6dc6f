"""Response models of the API: one for each published table, and a few composed ones."""

from __future__ import annotations

from ecr_audit.web.api.records.answers import (
    Event,
    Overview,
    Part,
    Problem,
    RegistryDetails,
    RepositoryDetails,
    Verdict,
)
from ecr_audit.web.api.records.compliance import (
    Account,
    Counts,
    DailyCompliance,
    Framework,
    Owner,
    Policy,
    Region,
    Section,
    UndeterminedReason,
    Unit,
)
from ecr_audit.web.api.records.findings import Change, Finding, FindingHistory, Waiver
from ecr_audit.web.api.records.image_tags import RepositoryImageTags, TagMove
from ecr_audit.web.api.records.inventory import (
    Coverage,
    CreationTemplate,
    CurrentPublication,
    ExclusionFilter,
    FailedFacet,
    FailedFacetOfTarget,
    Night,
    PublicationRecord,
    PullThroughRule,
    Registry,
    Repository,
    Target,
)
from ecr_audit.web.api.records.record import Record
from ecr_audit.web.api.records.remediation import PlannedFinding, RemediationAction, RemediationApproval

__all__ = [
    "Account",
    "Change",
    "Counts",
    "Coverage",
    "CreationTemplate",
    "CurrentPublication",
    "DailyCompliance",
    "Event",
    "ExclusionFilter",
    "FailedFacet",
    "FailedFacetOfTarget",
    "Finding",
    "FindingHistory",
    "Framework",
    "Night",
    "Overview",
    "Owner",
    "Part",
    "PlannedFinding",
    "Policy",
    "Problem",
    "PublicationRecord",
    "PullThroughRule",
    "Record",
    "Region",
    "Registry",
    "RegistryDetails",
    "RemediationAction",
    "RemediationApproval",
    "Repository",
    "RepositoryDetails",
    "RepositoryImageTags",
    "Section",
    "TagMove",
    "Target",
    "UndeterminedReason",
    "Unit",
    "Verdict",
    "Waiver",
]
