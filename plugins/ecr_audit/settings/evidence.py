"""Settings of evidence: nothing is sealed without them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ecr_audit.place import file_of, is_on_s3
from ecr_audit.settings.group import SettingsGroup
from ecr_audit.settings.values import Place, if_text, valid

# Not an alias: it could be pointed at another key.
_KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


def demo_evidence(data: Path) -> str:
    """The folder of the demo's log, in the data folder. `make verify` and `make evidence` read it without a setting."""
    return str(data.absolute() / "evidence")


def _key_of(text: str) -> str:
    """The key that the text of the setting means: the ARN of a KMS key, or an absolute path. Raises ValueError."""
    if text.strip().startswith("arn:"):
        if not _KMS_KEY.fullmatch(text.strip()):
            raise ValueError("is not the ARN of a KMS key")
        return text.strip()
    if is_on_s3(place := file_of(text)):
        raise ValueError("is on S3, where whoever reads the bucket could sign")
    return place


class EvidenceSettings(SettingsGroup):
    """Evidence."""

    evidence: Place | None = Field(
        description="Log of evidence, into which each evaluated night is sealed (evidence.md). It only grows: the lake"
        " is thinned, evidence is not.",
        default=None,
        json_schema_extra=valid("a folder, or s3://bucket/prefix; unset: nothing is sealed"),
    )
    evidence_key: Annotated[str, if_text(_key_of)] | None = Field(
        description="Key that signs evidence.",
        default=None,
        json_schema_extra=valid(
            "the path of an Ed25519 private key in PEM, or the ARN of a KMS key of the type ECC_NIST_P256"
            " (arn:aws:kms:<region>:<account>:key/<id>); unset: unsigned, chained by hashes only"
        ),
    )
