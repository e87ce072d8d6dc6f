"""The log of sealed nights, in a folder or on S3: it only grows, and nothing in it is ever overwritten.

<evidence>/log/<sequence>-<date>-<compliance commit>.dsse.json    an entry (statement.py)
<evidence>/files/<sha256>                                         Parquet and texts by content, each kept once
<evidence>/keys/<key id>.pem                                      public keys of the signatures
<evidence>/head.json                                              the newest entries; a convenience, not trusted
<evidence>/verification.json                                      the result of the last verification; likewise
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ecr_audit.aws.permissions import Option, Permission, Role
from ecr_audit.evidence.keys import EvidenceKeyError, PublicKey, read_public_key
from ecr_audit.evidence.statement import Entry, EntryError, EntryName, parse_entry
from ecr_audit.lake.lake import PARALLEL_READS
from ecr_audit.lake.storage import LakeError, MissingFileError, Storage
from ecr_audit.untrusted_files import sha256_of

T = TypeVar("T", bound=BaseModel)

_BUCKET, _WRITTEN = ("arn:{partition}:s3:::{evidence_bucket}",), ("arn:{partition}:s3:::{evidence}/*",)

# Nothing of the log is ever deleted.
PERMISSIONS = tuple(
    Permission((Role.HUB,), f"s3:{action}", why, on, Option.EVIDENCE)
    for action, why, on in (
        ("ListBucket", "to list the entries of the evidence log", _BUCKET),
        ("GetObject", "the evidence log", _WRITTEN),
        ("PutObject", "to seal nights", _WRITTEN),
        ("AbortMultipartUpload", "to abort incomplete uploads", _WRITTEN),
    )
)

HEAD, VERIFICATION = "head.json", "verification.json"
LOG_LOCK = "log.lock"


class EvidenceError(RuntimeError):
    """The log cannot be read or written; the message names the file and the fault."""


class IndexEntry(BaseModel):
    """An entry in HEAD: what people are shown of it."""

    model_config = ConfigDict(frozen=True)

    sequence: int
    date: date
    compliance_commit: str
    payload_sha256: str
    # The id of the key that its signature names; None: unsigned.
    signed_by: str | None
    sealed_at: datetime

    @classmethod
    def of(cls, entry: Entry) -> IndexEntry:
        """An entry as HEAD has it."""
        link = entry.link
        return cls(
            **link.model_dump(),
            signed_by=entry.signatures[0].keyid if entry.signatures else None,
            sealed_at=entry.night.sealed_at,
        )


class _Head(BaseModel):
    """The content of HEAD, in the order of the log."""

    entries: list[IndexEntry]


_HEAD = TypeAdapter(_Head)


class EvidenceLog:
    """The log at a local folder or an `s3://bucket/prefix`. All methods raise EvidenceError or LakeError."""

    def __init__(self, root: str, encryption: str | None = None) -> None:
        """`encryption`: see `S3`; a folder knows nothing of it."""
        self.storage = Storage(root, encryption)

    @property
    def root(self) -> str:
        """The folder or place on S3, as it was given."""
        return self.storage.root

    # Reading

    def names(self) -> tuple[list[EntryName], list[str]]:
        """The names of all entries, in their order, and those of files that the audit does not put there."""
        files = [name.removeprefix("log/") for name in self.storage.files("log")]
        names = {file: EntryName.of(file) for file in files}
        return sorted(name for name in names.values() if name), [file for file, name in names.items() if name is None]

    def read(self, name: EntryName) -> Entry:
        """An entry. Raises EvidenceError for a file that is not one, or that has the name of another."""
        path = f"log/{name.file}"
        content = self.storage.read(path)
        if content is None:
            raise EvidenceError(f"{self.storage.absolute(path)}: the file does not exist")
        try:
            entry = parse_entry(content)
        except EntryError as fault:
            raise EvidenceError(f"{self.storage.absolute(path)}: not an entry of the log ({fault})") from fault
        if entry.name != name:
            raise EvidenceError(f"{self.storage.absolute(path)}: holds the entry {entry.name.file}")
        return entry

    def read_all(self, names: Iterable[EntryName]) -> list[Entry | EvidenceError]:
        """Entries in the order of their names; in place of one that cannot be read, why."""

        def read(name: EntryName) -> Entry | EvidenceError:
            try:
                return self.read(name)
            except EvidenceError as fault:
                return fault

        with ThreadPoolExecutor(PARALLEL_READS) as pool:
            return list(pool.map(read, names))

    def public_keys(self) -> list[PublicKey]:
        """The public keys beside the log: whoever can write it can add one."""
        found = []
        for name in self.storage.files("keys"):
            try:
                found.append(read_public_key(self.storage.read(name) or b"", name))
            except EvidenceKeyError as fault:
                raise EvidenceError(f"{self.storage.absolute(name)}: {fault}") from fault
        return found

    def fetch_file(self, sha256: str, target: Path) -> None:
        """Copy a file to a local path, and check it there. Raises EvidenceError, also for other bytes than its name."""
        name = f"files/{sha256}"
        try:
            with self.storage.local(name) as path:
                shutil.copyfile(path, target)
        except MissingFileError as fault:
            raise EvidenceError(f"{self.storage.absolute(name)}: the file does not exist") from fault
        if (found := sha256_of(target)) != sha256:
            raise EvidenceError(f"{self.storage.absolute(name)}: its bytes have the SHA-256 {found}")

    def has_file(self, sha256: str) -> bool:
        """Whether a file is kept."""
        return self.storage.exists(f"files/{sha256}")

    def index(self) -> list[IndexEntry]:
        """All entries as HEAD has them, or where it is not of the present log, as they are."""
        names, _ = self.names()
        head = self.document(HEAD, _HEAD)
        known = [(each.sequence, each.date, each.compliance_commit) for each in head.entries] if head else []
        if head and known == [(name.sequence, name.day, name.commit_id) for name in names]:
            return head.entries
        return [IndexEntry.of(entry) for entry in self.read_all(names) if isinstance(entry, Entry)]

    def write_index(self, added: Sequence[Entry]) -> None:
        """Write HEAD again, with the entries that were just added."""
        known = {each.sequence: each for each in self.index()} | {e.night.sequence: IndexEntry.of(e) for e in added}
        head = _Head(entries=[known[sequence] for sequence in sorted(known)])
        self.write(HEAD, head.model_dump_json().encode())

    def document(self, name: str, model: TypeAdapter[T]) -> T | None:
        """HEAD or VERIFICATION; None without one that can be read: neither is trusted."""
        try:
            return self.storage.read_document(name, model)
        except LakeError:
            return None

    # Writing

    def keep_file(self, local: Path, sha256: str) -> None:
        """Move a local file of the scratch folder to its place, unless it is kept already."""
        if not self.has_file(sha256):
            self.storage.move_in(local, f"files/{sha256}")

    def add(self, entry: Entry, envelope: bytes, keys: Sequence[PublicKey]) -> None:
        """Add the file of an entry, and the public keys of its signatures. Raises EvidenceError if it is there."""
        for key in keys:
            if not self.storage.exists(name := f"keys/{key.id}.pem"):
                self.write(name, key.pem)
        if self.storage.exists(name := f"log/{entry.name.file}"):
            raise EvidenceError(f"{self.storage.absolute(name)}: is there already, and no entry is ever overwritten")
        self.write(name, envelope)

    def write(self, name: str, content: bytes) -> None:
        """Write a small file, replacing it where it is there."""
        with self.storage.scratch("evidence") as folder:
            (local := folder / "file").write_bytes(content)
            self.storage.move_in(local, name)
