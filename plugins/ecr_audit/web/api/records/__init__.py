"""Response models of the API: one for each published table, and a few composed ones."""

from __future__ import annotations

from ecr_audit.web.api.records.answers import Event, Overview, Part, Problem, RepositoryDetails, Verdict
from ecr_audit.web.api.records.compliance import (
    Account,
    Counts,
    DailyCompliance,
    Framework,
    Owner,
    Policy,
    Region,
    Section,
    Unit,
)
from ecr_audit.web.api.records.findings import Change, Finding, FindingHistory, Waiver
from ecr_audit.web.api.records.inventory import (
    Coverage,
    CurrentPublication,
    ExclusionFilter,
    Night,
    PublicationRecord,
    Repository,
    Target,
)
from ecr_audit.web.api.records.record import Record

__all__ = [
    "Account",
    "Change",
    "Counts",
    "Coverage",
    "CurrentPublication",
    "DailyCompliance",
    "Event",
    "ExclusionFilter",
    "Finding",
    "FindingHistory",
    "Framework",
    "Night",
    "Overview",
    "Owner",
    "Part",
    "Policy",
    "Problem",
    "PublicationRecord",
    "Record",
    "Region",
    "Repository",
    "RepositoryDetails",
    "Section",
    "Target",
    "Unit",
    "Verdict",
    "Waiver",
]
