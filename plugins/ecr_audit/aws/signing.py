"""Signatures by a key of AWS KMS: the private key never leaves KMS."""

from __future__ import annotations

from typing import Any

from ecr_audit.aws.access import aws_access
from ecr_audit.aws.permissions import Option, Permission, Role

PERMISSIONS = (
    Permission((Role.HUB,), "kms:Sign", "to sign evidence", ("{evidence_key}",), Option.EVIDENCE_KEY),
    Permission(
        (Role.HUB,),
        "kms:GetPublicKey",
        "to keep the public key with the evidence",
        ("{evidence_key}",),
        Option.EVIDENCE_KEY,
    ),
)

# For keys of the type ECC_NIST_P256 (AWS KMS Developer Guide, "Asymmetric key specs").
ALGORITHM = "ECDSA_SHA_256"


class SigningError(RuntimeError):
    """KMS does not sign, or does not give the public key; the message is boto3's."""


def public_key(key_arn: str) -> bytes:
    """The public key, as DER (SubjectPublicKeyInfo). Raises SigningError, also for a key of another type."""
    answer = _call(key_arn, "get_public_key")
    if ALGORITHM not in answer.get("SigningAlgorithms", ()):
        found = answer.get("KeySpec")
        raise SigningError(f"{key_arn}: is of the type {found}. Valid: ECC_NIST_P256, for signing and verifying")
    return bytes(answer["PublicKey"])


def sign_digest(key_arn: str, digest: bytes) -> bytes:
    """The signature, as DER, of a message with that SHA-256. Raises SigningError."""
    answer = _call(key_arn, "sign", Message=digest, MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
    return bytes(answer["Signature"])


def _call(key_arn: str, operation: str, **arguments: Any) -> Any:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = aws_access().client("kms", key_arn.split(":")[3])
        return getattr(client, operation)(KeyId=key_arn, **arguments)
    except (BotoCoreError, Boto3Error, ClientError) as fault:
        raise SigningError(f"{key_arn}: {fault}") from fault
