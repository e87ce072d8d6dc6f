"""Keys that sign evidence: an Ed25519 key in a file, or a P-256 key of AWS KMS; and the check of a signature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from ecr_audit.aws import signing
from ecr_audit.errors import FinalError
from ecr_audit.untrusted_files import read_bytes

# Far more than a key in PEM has.
_MOST_BYTES = 64 << 10

_MAKE_ONE = "Make one: openssl genpkey -algorithm ed25519 -out evidence-key.pem"


class EvidenceKeyError(FinalError):
    """A key cannot be used; the message names it, and what is valid."""


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with."""

    key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

    @property
    def id(self) -> str:
        """The SHA-256 (hex) of its DER: `openssl pkey -pubin -in key.pem -outform DER | sha256sum`."""
        return hashlib.sha256(self._encoded(serialization.Encoding.DER)).hexdigest()

    @property
    def pem(self) -> bytes:
        """It as PEM (SubjectPublicKeyInfo)."""
        return self._encoded(serialization.Encoding.PEM)

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the owner of the key signed a message."""
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def _encoded(self, encoding: serialization.Encoding) -> bytes:
        return self.key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


class Signer(Protocol):
    """A key that signs."""

    @property
    def public(self) -> PublicKey:
        """Its public half."""

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""


@dataclass(frozen=True)
class _KeyFile:
    """An Ed25519 key of this process."""

    key: ed25519.Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass(frozen=True)
class _KmsKey:
    """A P-256 key of AWS KMS."""

    arn: str
    public: PublicKey

    def sign(self, message: bytes) -> bytes:
        return signing.sign_digest(self.arn, hashlib.sha256(message).digest())


def open_signer(key: str) -> Signer:
    """The key that ECR_AUDIT_EVIDENCE_KEY names: a file, or a KMS key's ARN. Raises EvidenceKeyError, SigningError."""
    if key.startswith("arn:"):
        return _KmsKey(key, _public_key(serialization.load_der_public_key(signing.public_key(key)), key))
    try:
        private = serialization.load_pem_private_key(read_bytes(Path(key), _MOST_BYTES), password=None)
    except (OSError, ValueError, TypeError) as fault:
        raise EvidenceKeyError(
            f"ECR_AUDIT_EVIDENCE_KEY: '{key}': is not a private key in PEM ({fault}). {_MAKE_ONE}"
        ) from fault
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise EvidenceKeyError(f"ECR_AUDIT_EVIDENCE_KEY: '{key}': is not an Ed25519 key. {_MAKE_ONE}")
    return _KeyFile(private)


def read_public_key(content: bytes, name: str) -> PublicKey:
    """A public key in PEM, of the file `name`. Raises EvidenceKeyError."""
    try:
        return _public_key(serialization.load_pem_public_key(content), name)
    except (ValueError, TypeError) as fault:
        raise EvidenceKeyError(f"{name}: is not a public key in PEM ({fault})") from fault


def _public_key(key: object, name: str) -> PublicKey:
    is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    if isinstance(key, ed25519.Ed25519PublicKey) or is_p256:
        return PublicKey(key)  # type: ignore[arg-type]  # one of the two
    raise EvidenceKeyError(f"{name}: is a key of a type that the audit does not sign with. Valid: Ed25519, ECDSA P-256")
