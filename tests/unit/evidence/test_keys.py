"""Signatures: by a file's Ed25519 key and by KMS, which openssl accepts as well; and keys that are none."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # exported, but not by __all__

from ecr_audit.aws.signing import SigningError
from ecr_audit.evidence.keys import EvidenceKeyError, Signer, open_signer, read_public_key
from ecr_audit.evidence.statement import make_envelope, pae
from ecr_audit.settings import Settings
from support.evidence import key_file

MESSAGE = b'{"_type":"x"}'
ARN = "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def openssl_accepts(signer: Signer, folder: Path, command: list[str]) -> bool:
    (folder / "key.pub").write_bytes(signer.public.pem)
    (folder / "message").write_bytes(pae(MESSAGE))
    (folder / "signature").write_bytes(signer.sign(pae(MESSAGE)))
    return subprocess.run(["openssl", *command], cwd=folder, capture_output=True).returncode == 0


def test_a_key_in_a_file(tmp_path: Path) -> None:
    signer = open_signer(str(key_file(tmp_path / "key.pem")))
    assert signer.public.accepts(signer.sign(MESSAGE), MESSAGE)
    assert not signer.public.accepts(signer.sign(MESSAGE), MESSAGE + b" ")
    assert read_public_key(signer.public.pem, "x").id == signer.public.id
    verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "key.pub", "-rawin", "-in", "message", "-sigfile", "signature"]
    assert openssl_accepts(signer, tmp_path, verify)
    made = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True, cwd=tmp_path
    ).stdout
    (tmp_path / "openssl.pem").write_bytes(made)
    assert open_signer(str(tmp_path / "openssl.pem")).public.id != signer.public.id


@contextmanager
def kms_of(monkeypatch: pytest.MonkeyPatch, spec: str) -> Iterator[tuple[Stubber, ec.EllipticCurvePrivateKey]]:
    """KMS as botocore's model has it, with a key of ours behind it: moto signs the digest of the digest."""
    client = boto3.client("kms", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="y")
    asked = []

    def client_of(service: str, region: str) -> Any:
        asked.append((service, region))
        return client

    monkeypatch.setattr("ecr_audit.aws.signing.aws_access", lambda: SimpleNamespace(client=client_of))
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    algorithms = ["ECDSA_SHA_256"] if spec.startswith("ECC") else ["RSASSA_PSS_SHA_256"]
    public = {
        "KeyId": ARN,
        "PublicKey": der,
        "KeySpec": spec,
        "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": algorithms,
    }
    with Stubber(client) as stub:
        stub.add_response("get_public_key", public, {"KeyId": ARN})
        yield stub, key
        stub.assert_no_pending_responses()
    assert set(asked) == {("kms", "eu-west-1")}


def test_a_key_of_kms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KMS signs the digest, since a message may have 4 KB only; its private key never comes here."""
    message = pae(MESSAGE)
    digest = hashlib.sha256(message).digest()
    with kms_of(monkeypatch, "ECC_NIST_P256") as (stub, key):
        signer = open_signer(ARN)
        signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        asked = {"KeyId": ARN, "Message": digest, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
        stub.add_response("sign", {"KeyId": ARN, "Signature": signature}, asked)
        stub.add_response("sign", {"KeyId": ARN, "Signature": signature}, asked)
        assert signer.public.accepts(signer.sign(message), message)
        verify = ["dgst", "-sha256", "-verify", "key.pub", "-signature", "signature", "message"]
        assert openssl_accepts(signer, tmp_path, verify)
        stub.add_client_error("sign", "AccessDeniedException", "not authorized to perform: kms:Sign")
        with pytest.raises(SigningError, match=r"key/1234.*not authorized to perform: kms:Sign"):
            signer.sign(message)


def test_a_key_of_kms_of_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        kms_of(monkeypatch, "RSA_2048"),
        pytest.raises(SigningError, match=r"is of the type RSA_2048\. Valid: ECC_NIST_P256"),
    ):
        open_signer(ARN)


def test_an_envelope_is_verified_by_another_library(tmp_path: Path) -> None:
    """By securesystemslib, with which in-toto's own programs verify."""
    signer = open_signer(str(key_file(tmp_path / "key.pem")))
    envelope = json.loads(make_envelope(MESSAGE, signer))
    key = SSlibKey.from_crypto(signer.public.key, keyid=signer.public.id)
    [signature] = envelope["signatures"]
    assert list(Envelope.from_dict(envelope | {"signatures": [dict(signature)]}).verify([key], 1)) == [signer.public.id]
    envelope["payload"] = base64.b64encode(MESSAGE + b" ").decode()
    with pytest.raises(VerificationError):
        Envelope.from_dict(envelope).verify([key], 1)


def test_type_and_length_are_signed_with_the_payload() -> None:
    """The example of DSSE's protocol, with our type."""
    assert pae(b"hello world") == b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"


@pytest.mark.parametrize("content", [b"", b"no key", base64.b64encode(b"x" * 100)])
def test_another_file_is_named_as_a_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(EvidenceKeyError, match=r"key.pem': is not a private key in PEM .*openssl genpkey"):
        open_signer(str(tmp_path / "key.pem"))
    with pytest.raises(EvidenceKeyError, match="x: is not a public key"):
        read_public_key(content, "x")


def test_a_key_of_another_type(tmp_path: Path) -> None:
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed448"], capture_output=True, check=True).stdout
    (tmp_path / "key.pem").write_bytes(made)
    with pytest.raises(EvidenceKeyError, match="is not an Ed25519 key"):
        open_signer(str(tmp_path / "key.pem"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("arn:aws:kms:eu-west-1:111111111111:alias/evidence", "is not the ARN of a KMS key"),
        ("s3://bucket/key.pem", "is on S3, where whoever reads the bucket could sign"),
        ("keys/", "ends with a slash"),
    ],
)
def test_other_values_of_the_setting_are_refused(given: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(evidence_key=given)
