"""Checks, with the credentials and settings of the environment, all that a nightly run needs, and reports what to fix.

Makes the same calls as a run, and removes what it writes. `examine` goes from what everything depends on to
what depends on it: what cannot be checked because of an earlier fault is SKIPPED, and says of which.
"""

from ecr_audit.doctor.examination import examine
from ecr_audit.doctor.results import Result, Status

__all__ = ["Result", "Status", "examine"]
