"""The evaluation of a snapshot: every policy on every repository, then what that means for each framework section.

`evaluate` leaves the verdicts under `_parts/compliance/<date>/` of the lake; `roll_up` commits them together with the
sections, once all checks have passed. Until then they are invisible. Either can be repeated, and killed at any time.
"""

from __future__ import annotations

from ecr_audit.compliance.evaluation import Evaluation
from ecr_audit.compliance.known_waivers import KnownWaivers, known_waivers
from ecr_audit.compliance.policies import PolicyError
from ecr_audit.compliance.sections import ComplianceError, later_dates, roll_up
from ecr_audit.compliance.verdicts import evaluate
from ecr_audit.warehouse.checks import CheckError, Violation, run_checks

__all__ = [
    "CheckError",
    "ComplianceError",
    "Evaluation",
    "KnownWaivers",
    "PolicyError",
    "Violation",
    "evaluate",
    "known_waivers",
    "later_dates",
    "roll_up",
    "run_checks",
]
