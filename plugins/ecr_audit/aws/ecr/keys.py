"""Whose key encrypts a repository: one that AWS manages, or the customer's.

A key in another account proves itself a customer's by its ARN: keys that AWS manages are in the account that uses them
(AWS KMS Developer Guide, "AWS KMS keys"). So no call, and no permission, goes beyond the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import quoted, text
from ecr_audit.aws.dispatcher import Call, Flow
from ecr_audit.aws.ecr.facet import Declaration, FacetRead, Registry, read_each
from ecr_audit.aws.ecr.repositories import LONGEST_CHOICE, Repository
from ecr_audit.vocabulary import Facet

CUSTOMER = "CUSTOMER"


def _key(registry: Registry, key: str) -> Call:
    return registry.call("kms", "describe_key", {"KeyId": key}, "KeyMetadata")


def _read(registry: Registry, repositories: Sequence[Repository], read: FacetRead) -> Flow:
    # One call a key, whatever the number of repositories that it encrypts.
    users: dict[str, list[str]] = {}
    for repository in repositories:
        if repository.kms_key is None:
            read.values[repository.arn] = {"kms_key_manager": None}
        elif _is_elsewhere(repository.kms_key, registry.account_id):
            read.values[repository.arn] = {"kms_key_manager": CUSTOMER}
        else:
            users.setdefault(repository.kms_key, []).append(repository.arn)

    def take(arns: Sequence[str], answer: Mapping[str, Any]) -> None:
        metadata = answer["KeyMetadata"]
        manager = text(metadata.get("KeyManager"), LONGEST_CHOICE) if isinstance(metadata, dict) else None
        if manager is None:
            raise ResponseParserError(f"describe_key returned {quoted(metadata)} for KeyMetadata, without a KeyManager")
        read.values |= {arn: {"kms_key_manager": manager} for arn in arns}

    yield from read_each(registry, [(arns, _key(registry, key)) for key, arns in users.items()], read, take)


KEYS = Declaration(
    Facet.KEYS,
    "manager of the keys that encrypt repositories: AWS or the customer",
    "whose keys encrypt is not known",
    "one for each KMS key of the account that repositories use",
    ("kms_key_manager",),
    _read,
    lambda registry, repository: (
        [_key(registry, repository.kms_key)]
        if repository.kms_key and not _is_elsewhere(repository.kms_key, registry.account_id)
        else []
    ),
)


def _is_elsewhere(key: str, account_id: str) -> bool:
    """Whether a key's ARN is one of another account: arn:partition:kms:region:account:key/id."""
    parts = key.split(":")
    return len(parts) == 6 and parts[2] == "kms" and parts[4] not in ("", account_id)
