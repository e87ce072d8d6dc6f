"""Seals what was evaluated, before it is published: so that the publication can state the hash of the newest entry.

Sealing that fails costs the publication nothing but that: it names evidence as missing, with the reason, and the task
complete_publication is red.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ecr_audit.lake.lake import Lake
from ecr_audit.settings import SQL_ROOT, Settings

log = logging.getLogger(__name__)

EVIDENCE = "evidence"


@dataclass(frozen=True)
class SealedNights:
    """The log as a publication shows it."""

    head: str | None = None
    # As `marts/nights` takes them: the newest entry of each, and how many there are.
    nights: Sequence[Mapping[str, Any]] = ()
    # Why evaluated nights have no entry; None when all have.
    error: str | None = None
    verified_at: datetime | None = None
    verification: str | None = None

    @property
    def missing(self) -> dict[str, str]:
        """Evidence as a missing export."""
        return {EVIDENCE: self.error} if self.error else {}

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of `marts/publication`."""
        return {
            "evidence_head": self.head,
            "evidence_error": self.error,
            "evidence_verified_at": self.verified_at,
            "evidence_verification": self.verification,
        }


# Nothing is sealed: ECR_AUDIT_EVIDENCE is not set.
NOT_SEALED = SealedNights()


def seal_nights(lake: Lake, settings: Settings) -> SealedNights:
    """Seal each evaluated night that has no entry yet, and return the log. Raises nothing: the error is in it."""
    if settings.evidence is None:
        return NOT_SEALED
    # Late: cryptography, for those only who seal.
    from pydantic import TypeAdapter

    from ecr_audit.evidence.log import VERIFICATION
    from ecr_audit.evidence.results import LastVerification
    from ecr_audit.evidence.seal import seal
    from ecr_audit.evidence.settings import open_log, signer_of

    try:
        evidence = open_log(settings)
        sealed = seal(lake, evidence, signer_of(settings), SQL_ROOT)
        index = evidence.index()
        last = evidence.document(VERIFICATION, TypeAdapter(LastVerification))
    except Exception as fault:  # the log's, the key's, S3's or KMS's: the night is published in any case
        log.exception("Nothing sealed")
        return SealedNights(error=f"not sealed: {' '.join(str(fault).split())}"[:300])
    entries: dict[date, list[Any]] = {}
    for each in index:
        entries.setdefault(each.date, []).append(each)
    return SealedNights(
        head=index[-1].payload_sha256 if index else None,
        nights=[
            {
                "snapshot_date": day,
                "sequence": of_day[-1].sequence,
                "payload_sha256": of_day[-1].payload_sha256,
                "signed_by": of_day[-1].signed_by,
                "sealed_at": of_day[-1].sealed_at,
                "entries": len(of_day),
            }
            for day, of_day in entries.items()
        ],
        error="; ".join(sealed.unsealed.values())[:300] or None,
        verified_at=last.verified_at if last else None,
        verification=last.found if last else None,
    )
