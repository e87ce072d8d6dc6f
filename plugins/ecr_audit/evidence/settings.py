"""The log and the keys that the settings name."""

from __future__ import annotations

from pathlib import Path

from ecr_audit.errors import FinalError
from ecr_audit.evidence.keys import Signer, open_signer, read_public_key
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.verification import Keys
from ecr_audit.settings import Settings
from ecr_audit.settings.evidence import demo_evidence
from ecr_audit.untrusted_files import read_bytes


class EvidenceOffError(FinalError):
    """No log can be read, since ECR_AUDIT_EVIDENCE is not set."""

    def __str__(self) -> str:
        return "ECR_AUDIT_EVIDENCE is not set: nights are not sealed. To seal them: docs/evidence.md"


def open_log(settings: Settings) -> EvidenceLog:
    """The log; without ECR_AUDIT_EVIDENCE that of the demo, where the data folder has one. Raises EvidenceOffError."""
    if settings.evidence is not None:
        return EvidenceLog(settings.evidence, settings.s3_encryption)
    if Path(demo := demo_evidence(settings.data)).is_dir():
        return EvidenceLog(demo)
    raise EvidenceOffError


def signer_of(settings: Settings) -> Signer | None:
    """The key that signs; None: entries are unsigned."""
    return open_signer(settings.evidence_key) if settings.evidence_key else None


def keys_to_verify(evidence: EvidenceLog, public_key: Path | None, settings: Settings | None) -> Keys:
    """The key in a file, or else that of the settings; without either, those beside the log, which nobody vouches for.

    Raises OSError and EvidenceKeyError.
    """
    if public_key:
        return Keys([read_public_key(read_bytes(public_key), str(public_key))], is_trusted=True)
    if settings and (signer := signer_of(settings)):
        return Keys([signer.public], is_trusted=True)
    return Keys(evidence.public_keys(), is_trusted=False)
