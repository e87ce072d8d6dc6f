"""A log entry: an in-toto statement about one evaluated night, in a DSSE envelope that holds its signature.

Sources: "in-toto Attestation Framework, Statement v1" and "DSSE: Dead Simple Signing Envelope, v1.0".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ecr_audit.evidence.keys import PublicKey, Signer
from ecr_audit.lake.commits import Commit, commit_document, parse_commit
from ecr_audit.untrusted_files import parse_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
# Ours, with its version.
PREDICATE_TYPE: Final = "https://ecr-audit.invalid/evidence/night/v1"

# Prefixes of subjects' names: files of the lake, and texts of sql/.
LAKE, SQL = "lake/", "sql/"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
CommitId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]


_NAME = re.compile(r"(?P<sequence>[0-9]{8})-(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})-(?P<commit>[0-9a-f]{12})\.dsse\.json")


class EntryError(ValueError):
    """A file is not an entry of the log; the message says what is wrong."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Digest(_Model):
    """The digest of a subject."""

    sha256: Sha256


class Subject(_Model):
    """A file that a night rests on."""

    name: str
    digest: Digest


class Link(_Model):
    """Another entry: its place in the log, its night, and the hash of its payload."""

    sequence: Annotated[int, Field(ge=1)]
    date: date
    compliance_commit: CommitId
    payload_sha256: Sha256


class Versions(_Model):
    """The programs that evaluated and sealed the night."""

    program: str
    duckdb: str
    lake_schema: int


class Night(_Model):
    """The predicate: what the night's verdicts rest on, and its figures."""

    organization_id: str | None
    date: date
    sequence: Annotated[int, Field(ge=1)]
    sealed_at: datetime
    previous: Link | None
    # The entry of the same night that this one replaces: the night was evaluated again.
    supersedes: Link | None
    # Commits as their files in the lake have them. `before_…`: those of the evaluated night before, whose verdicts
    # continue; `image_tags`: the commit of the image tags that policies read.
    inventory: dict[str, Any]
    compliance: dict[str, Any]
    image_tags: dict[str, Any] | None
    before_inventory: dict[str, Any] | None
    before_compliance: dict[str, Any] | None
    policies: dict[str, Sha256]
    sql_hash: Sha256
    owner_tags: list[str]
    run_time: str
    versions: Versions
    # Accounts that were listed, targets by outcome, and verdicts by policy and status.
    accounts: int
    coverage: dict[str, int]
    verdicts: dict[str, dict[str, int]]
    waivers_sha256: Sha256

    def commits(self) -> list[Commit]:
        """All commits, each checked as one that is read from the lake. Raises LakeError."""
        given = (
            *((self.inventory, "inventory"), (self.compliance, "compliance"), (self.image_tags, "image_tags")),
            *((self.before_inventory, "inventory"), (self.before_compliance, "compliance")),
        )
        return [_commit(document, stage) for document, stage in given if document is not None]


class Statement(_Model):
    """An in-toto statement."""

    type: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: list[Subject]
    predicate_type: Annotated[Literal["https://ecr-audit.invalid/evidence/night/v1"], Field(alias="predicateType")]
    predicate: Night


class Signature(_Model):
    """A signature, and the id of the key that made it."""

    # Nothing else: it becomes a folder of a bundle, and part of a command that an auditor runs.
    keyid: Sha256
    sig: str

    @property
    def content(self) -> bytes:
        """Its bytes; none, which no key accepts, where it is not in base64."""
        try:
            return _decoded(self.sig)
        except EntryError:
            return b""


class _Envelope(_Model):
    payload_type: Annotated[Literal["application/vnd.in-toto+json"], Field(alias="payloadType")]
    payload: str
    signatures: list[Signature]


_ENVELOPE, _STATEMENT = TypeAdapter(_Envelope), TypeAdapter(Statement)


@dataclass(frozen=True, order=True)
class EntryName:
    """The name of an entry's file: it says where the entry is in the log, of which night, and of which commit."""

    sequence: int
    day: date
    commit_id: str

    @property
    def file(self) -> str:
        """Its name, in the folder of the log."""
        return f"{self.stem}.dsse.json"

    @property
    def stem(self) -> str:
        """The name without its ending, which files made of an entry share."""
        return f"{self.sequence:08d}-{self.day}-{self.commit_id}"

    @classmethod
    def of(cls, file: str) -> EntryName | None:
        """The parts of a name; None for one that the audit does not give."""
        found = _NAME.fullmatch(file)
        try:
            return cls(int(found["sequence"]), date.fromisoformat(found["day"]), found["commit"]) if found else None
        except ValueError:
            return None


@dataclass(frozen=True)
class Entry:
    """An entry as it was read: the payload to the byte, what it says, and its signatures."""

    payload: bytes
    statement: Statement
    signatures: tuple[Signature, ...]

    @property
    def night(self) -> Night:
        """The part about its night."""
        return self.statement.predicate

    @property
    def payload_sha256(self) -> str:
        """The hash that the next entry, and each night's summary, name."""
        return hashlib.sha256(self.payload).hexdigest()

    @property
    def link(self) -> Link:
        """As another entry names it."""
        night = self.night
        return Link(
            sequence=night.sequence,
            date=night.date,
            compliance_commit=str(night.compliance.get("commit_id")),
            payload_sha256=self.payload_sha256,
        )

    @property
    def name(self) -> EntryName:
        """The name of its file."""
        return EntryName(self.night.sequence, self.night.date, self.link.compliance_commit)

    def hashes(self, prefix: str) -> dict[str, str]:
        """The SHA-256 of its subjects with a prefix, LAKE or SQL, by the rest of their names."""
        return {
            each.name.removeprefix(prefix): each.digest.sha256
            for each in self.statement.subject
            if each.name.startswith(prefix)
        }

    def signer(self, keys: Sequence[PublicKey]) -> PublicKey | None:
        """Which of these keys signed it, as it is; None: none of them."""
        signed = pae(self.payload)
        for signature in self.signatures:
            for key in keys:
                if key.id == signature.keyid and key.accepts(signature.content, signed):
                    return key
        return None


def pae(payload: bytes) -> bytes:
    """The bytes that are signed: the payload behind its type and length (DSSE's pre-authentication encoding)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def make_statement(subjects: dict[str, str], night: Night) -> bytes:
    """The payload of an entry: `subjects` are SHA-256 by name."""
    statement = Statement(
        type=STATEMENT_TYPE,
        subject=[Subject(name=name, digest=Digest(sha256=each)) for name, each in sorted(subjects.items())],
        predicate_type=PREDICATE_TYPE,
        predicate=night,
    )
    return statement.model_dump_json(by_alias=True).encode()


def make_envelope(payload: bytes, signer: Signer | None) -> bytes:
    """The file of an entry; without a signer it is unsigned, and has no signature."""
    signatures = [{"keyid": signer.public.id, "sig": _encoded(signer.sign(pae(payload)))}] if signer else []
    return json.dumps({"payloadType": PAYLOAD_TYPE, "payload": _encoded(payload), "signatures": signatures}).encode()


def parse_entry(content: bytes) -> Entry:
    """The entry in a file. Raises EntryError."""
    try:
        envelope = parse_json(content, _ENVELOPE)
        payload = _decoded(envelope.payload)
        return Entry(payload, parse_json(payload, _STATEMENT), tuple(envelope.signatures))
    except ValueError as fault:
        raise EntryError(str(fault)) from fault


def document_of(commit: Commit) -> dict[str, Any]:
    """A commit as its file in the lake has it."""
    document: dict[str, Any] = json.loads(commit_document(commit))
    return document


def _commit(document: dict[str, Any], stage: str) -> Commit:
    content = json.dumps(document).encode()
    day = document.get("snapshot_date")
    try:
        return parse_commit(content, f"the entry's commit of {stage}", stage, date.fromisoformat(str(day)))
    except ValueError as fault:
        raise EntryError(f"its commit of {stage} is of no date: {day!r:.100}") from fault


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as fault:
        raise EntryError(f"not in base64 ({fault})") from fault
