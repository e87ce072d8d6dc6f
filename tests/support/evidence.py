"""A log of sealed nights for tests, and the means of somebody who tampers with it."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ecr_audit.catalog import load_catalog
from ecr_audit.evidence.keys import Signer, open_signer
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.seal import Sealed, seal
from ecr_audit.evidence.statement import EntryName, make_envelope
from ecr_audit.settings import SQL_ROOT
from support.policies import MUTABILITY, STRICT
from support.small_lake import SmallLake


def sql_of(folder: Path, policies: Collection[str]) -> Path:
    """A copy of sql/ with these policies alone."""
    shutil.copytree(SQL_ROOT, folder)
    for policy in load_catalog(folder).policies:
        if policy.id not in policies:
            shutil.rmtree(folder / policy.folder)
    return folder


def key_file(path: Path) -> Path:
    """A new Ed25519 key in a file."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    return path


@dataclass
class SealedLake:
    """A small lake with a log of its own, below a folder."""

    folder: Path
    nights: SmallLake
    sql: Path
    signer: Signer

    @classmethod
    def at(cls, folder: Path, policies: Collection[str] = (MUTABILITY, STRICT)) -> SealedLake:
        """A new one, without nights."""
        folder.mkdir(exist_ok=True)
        sql = sql_of(folder / "sql", policies)
        signer = open_signer(str(key_file(folder / "key.pem")))
        return cls(folder, SmallLake(folder / "lake", load_catalog(sql)), sql, signer)

    @property
    def evidence(self) -> EvidenceLog:
        """The log."""
        return EvidenceLog(str(self.folder / "evidence"))

    def seal(self) -> Sealed:
        """Seal what has no entry yet."""
        return seal(self.nights.lake, self.evidence, self.signer, self.sql)

    def change_policy(self, old: str, new: str) -> None:
        """Change the text of the policy on mutability, as another release would."""
        [folder] = [policy.folder for policy in self.nights.catalog.policies if policy.id == MUTABILITY]
        path = self.sql / folder / "logic.sql"
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
        self.nights.catalog = load_catalog(self.sql)


def copy_of(evidence: EvidenceLog, folder: Path) -> EvidenceLog:
    """A copy of a log, to be tampered with."""
    shutil.copytree(evidence.root, folder)
    return EvidenceLog(str(folder))


def path_of(evidence: EvidenceLog, name: EntryName) -> Path:
    """The file of an entry."""
    return Path(evidence.root, "log", name.file)


def name_of(evidence: EvidenceLog, sequence: int) -> EntryName:
    """The name of an entry by its place."""
    return evidence.names()[0][sequence - 1]


def flip(path: Path, position: int = -20) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


def rewrite(
    evidence: EvidenceLog, sequence: int, change: Callable[[dict[str, Any]], None], signer: Signer | None
) -> None:
    """Change the payload of an entry; None: its signatures stay, else it is signed again."""
    path = path_of(evidence, name_of(evidence, sequence))
    envelope = json.loads(path.read_text("utf-8"))
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    if signer:
        path.write_bytes(make_envelope(payload, signer))
    else:
        path.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}), "utf-8")


def replace_file(evidence: EvidenceLog, content: bytes) -> str:
    """Put a file beside the log. Returns its hash."""
    digest = hashlib.sha256(content).hexdigest()
    Path(evidence.root, "files", digest).write_bytes(content)
    return digest


def subject(statement: dict[str, Any], wanted: str) -> dict[str, Any]:
    """The first subject whose name contains a text."""
    return dict(next(each for each in statement["subject"] if wanted in each["name"]))


def set_hash(statement: dict[str, Any], name: str, digest: str) -> None:
    """Give a subject another hash."""
    for each in statement["subject"]:
        if each["name"] == name:
            each["digest"]["sha256"] = digest


def rechain(evidence: EvidenceLog, sequences: Iterable[int], signer: Signer) -> None:
    """Give each of these entries the hash of the one before it, and sign it again."""
    for sequence in sequences:
        before = evidence.read(name_of(evidence, sequence - 1)).payload_sha256

        def link(statement: dict[str, Any], before: str = before) -> None:
            statement["predicate"]["previous"]["payload_sha256"] = before

        rewrite(evidence, sequence, link, signer)


DAYS = [date(2026, 11, day) for day in range(1, 6)]
