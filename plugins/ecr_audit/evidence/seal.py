"""Seals evaluated nights: keeps what each rests on, and adds an entry to the log."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path

from ecr_audit.catalog.texts import read_texts, texts_hash
from ecr_audit.errors import FinalError
from ecr_audit.evidence.figures import targets_by_outcome, verdicts_by_status
from ecr_audit.evidence.keys import Signer
from ecr_audit.evidence.log import LOG_LOCK, EvidenceError, EvidenceLog
from ecr_audit.evidence.statement import (
    LAKE,
    SQL,
    Entry,
    Night,
    Versions,
    document_of,
    make_envelope,
    make_statement,
    parse_entry,
)
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, IMAGE_TAG_READS, WAIVERS
from ecr_audit.lake.snapshot import read_image_tags
from ecr_audit.untrusted_files import sha256_of
from ecr_audit.version import __version__

log = logging.getLogger(__name__)

EVALUATE_AGAIN = "Evaluate that date again"

# In the details of a compliance commit, see `Evaluation`.
SQL_HASH = "sql_hash"


class SealError(FinalError):
    """A night cannot be sealed as it is; the message says what to do."""


@dataclass
class Sealed:
    """The outcome: entries that were added, and why evaluated nights have none, by date."""

    added: list[Entry] = field(default_factory=list)
    unsealed: dict[date, str] = field(default_factory=dict)


def seal(lake: Lake, evidence: EvidenceLog, signer: Signer | None, sql_root: Path) -> Sealed:
    """Add an entry for each compliance commit that has none, oldest night first.

    A night that was evaluated before the first entry, by a version of the audit that noted no hash of sql/, is left
    out. Raises EvidenceError when the log cannot be read: nothing is added to a log that is not in order.
    """
    texts = read_texts(sql_root)
    outcome = Sealed()
    with evidence.storage.locked(LOG_LOCK):
        names, foreign = evidence.names()
        if foreign:
            raise EvidenceError(
                f"{evidence.root}/log: {foreign[0]!r} is not an entry's name. Find out who put it there"
            )
        newest = {name.day: name for name in names}
        last = evidence.read(names[-1]) if names else None
        known = {name.commit_id for name in names}
        for commit in lake.read_commits("compliance", lake.snapshot_dates("compliance")):
            if commit.commit_id in known or not commit.is_whole:
                continue
            try:
                superseded = evidence.read(newest[commit.snapshot_date]) if commit.snapshot_date in newest else None
                last = _seal(lake, evidence, signer, texts, commit, last, superseded)
            except SealError as fault:
                # Without a hash of sql/, nobody can know its texts: before the first entry that is not a gap.
                if commit.details.get(SQL_HASH) or (names and commit.snapshot_date > names[0].day):
                    outcome.unsealed[commit.snapshot_date] = str(fault)
                continue
            outcome.added.append(last)
        if outcome.added:
            evidence.write_index(outcome.added)
    return outcome


def _seal(
    lake: Lake,
    evidence: EvidenceLog,
    signer: Signer | None,
    texts: dict[str, bytes],
    compliance: Commit,
    previous: Entry | None,
    superseded: Entry | None,
) -> Entry:
    inputs = _inputs(lake, compliance, texts_hash(texts))
    kept = {each.digest.sha256 for each in previous.statement.subject} if previous else set[str]()
    subjects: dict[str, str] = {}
    with evidence.storage.scratch(f"seal-{compliance.snapshot_date}") as folder:
        for commit in inputs.commits:
            for name in _names(commit):
                subjects[f"{LAKE}{name}"] = _keep(lake, evidence, commit, name, kept, folder)
        for name, text in texts.items():
            digest = hashlib.sha256(text).hexdigest()
            subjects[f"{SQL}{name}"] = digest
            if digest not in kept:
                (local := folder / "text").write_bytes(text)
                evidence.keep_file(local, digest)
    payload = make_statement(subjects, _night(lake, inputs, subjects, previous, superseded))
    envelope = make_envelope(payload, signer)
    entry = parse_entry(envelope)
    evidence.add(entry, envelope, [signer.public] if signer else [])
    log.info("Sealed the night of %s: entry %d, %s", entry.night.date, entry.night.sequence, entry.payload_sha256)
    return entry


@dataclass(frozen=True)
class _Inputs:
    """The commits that a night rests on: its own, those of the evaluated night before, and its image tags."""

    inventory: Commit
    compliance: Commit
    image_tags: Commit | None
    before_inventory: Commit | None
    before_compliance: Commit | None

    @property
    def commits(self) -> list[Commit]:
        """Those that there are."""
        given = (getattr(self, each.name) for each in fields(self))
        return [commit for commit in given if commit is not None]


def _inputs(lake: Lake, compliance: Commit, sql_hash: str) -> _Inputs:
    """Raises SealError where the lake no longer has what the night was evaluated on."""
    day, details = compliance.snapshot_date, compliance.details
    if SQL_HASH not in details:
        raise SealError(f"{day}: was evaluated by a version of the audit that noted no hash of sql/. {EVALUATE_AGAIN}")
    if details[SQL_HASH] != sql_hash:
        raise SealError(f"{day}: sql/ has changed since it was evaluated. {EVALUATE_AGAIN}")
    inventory = lake.read_commit("inventory", day)
    if inventory is None or inventory.commit_id != compliance.detail("inventory_commit"):
        raise SealError(f"{day}: its repositories were scanned again after the evaluation. {EVALUATE_AGAIN}")
    before_inventory = before_compliance = image_tags = None
    if previous_commit := compliance.detail("previous_commit"):
        before = date.fromisoformat(compliance.detail("previous_date"))
        before_compliance = lake.read_commit("compliance", before)
        is_same = before_compliance is not None and before_compliance.commit_id == previous_commit
        if before_compliance is None or not is_same or not before_compliance.is_whole:
            raise SealError(f"{day}: the night that it continues, {before}, was replaced or thinned. {EVALUATE_AGAIN}")
        before_inventory = lake.read_commit("inventory", before)
    if tags_date := compliance.image_tags_date:
        image_tags = read_image_tags(lake, tags_date)
        if image_tags is None or image_tags.commit_id != compliance.detail("image_tags_commit"):
            raise SealError(f"{day}: its image tags, of {tags_date}, were replaced or thinned. {EVALUATE_AGAIN}")
        names = {IMAGE_TAG_READS.name: image_tags.files[IMAGE_TAG_READS.name]}
        image_tags = replace(image_tags, files=names)
    return _Inputs(inventory, compliance, image_tags, before_inventory, before_compliance)


def _names(commit: Commit) -> Iterator[str]:
    for names in commit.files.values():
        yield from names


def _keep(lake: Lake, evidence: EvidenceLog, commit: Commit, name: str, kept: Collection[str], folder: Path) -> str:
    """Keep a file of the lake. Returns its hash: the one that was committed, or in older commits that of its bytes."""
    committed = commit.hashes.get(name)
    if committed is not None and (committed in kept or evidence.has_file(committed)):
        return committed
    local = folder / "file"
    with lake.storage.local(name) as path:
        shutil.copyfile(path, local)
    found = sha256_of(local)
    if committed is not None and found != committed:
        raise SealError(
            f"{commit.snapshot_date}: {lake.storage.absolute(name)} was changed since it was committed: its SHA-256 is"
            f" {found}, and that of the commit is {committed}. Find out by whom, and restore it"
        )
    evidence.keep_file(local, found)
    return found


def _night(
    lake: Lake, inputs: _Inputs, subjects: Mapping[str, str], previous: Entry | None, superseded: Entry | None
) -> Night:
    inventory, compliance = inputs.inventory, inputs.compliance
    [waivers] = compliance.files[WAIVERS.name]
    return Night(
        organization_id=inventory.details.get("organization_id"),
        date=compliance.snapshot_date,
        sequence=previous.night.sequence + 1 if previous else 1,
        sealed_at=datetime.now(UTC),
        previous=previous.link if previous else None,
        supersedes=superseded.link if superseded else None,
        inventory=document_of(inventory),
        compliance=document_of(compliance),
        image_tags=document_of(inputs.image_tags) if inputs.image_tags else None,
        before_inventory=document_of(inputs.before_inventory) if inputs.before_inventory else None,
        before_compliance=document_of(inputs.before_compliance) if inputs.before_compliance else None,
        policies=compliance.detail("policies"),
        sql_hash=compliance.detail(SQL_HASH),
        owner_tags=compliance.detail("owner_tags"),
        run_time=compliance.detail("run_time"),
        versions=Versions(program=__version__, duckdb=version("duckdb"), lake_schema=compliance.schema_version),
        accounts=inventory.rows[ACCOUNTS.name],
        coverage=targets_by_outcome(lake, inventory),
        verdicts=verdicts_by_status(lake, compliance),
        waivers_sha256=subjects[f"{LAKE}{waivers}"],
    )
