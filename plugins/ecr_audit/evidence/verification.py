"""Verifies the log, and nights of it, from the log alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from ecr_audit.errors import FinalError
from ecr_audit.evidence.chain import Chain, read_chain, signature_of
from ecr_audit.evidence.contents import Restored, is_kept, restore, row_faults, text_faults
from ecr_audit.evidence.keys import PublicKey
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.rederivation import TIME_LIMIT_SECONDS, rederive
from ecr_audit.evidence.results import NightResult, Verification
from ecr_audit.evidence.statement import EntryName

# Called with each night that was restored and verified, before its files are removed.
OnNight = Callable[[Restored, NightResult], None]


class VerificationError(FinalError):
    """There is nothing to verify as asked; the message says what there is."""


@dataclass(frozen=True)
class Keys:
    """The keys that signatures are checked with, and whether they are the verifier's own."""

    keys: Sequence[PublicKey]
    is_trusted: bool


def verify(
    evidence: EvidenceLog,
    keys: Keys,
    first: date | None = None,
    last: date | None = None,
    *,
    sampled: Sequence[date] | None = None,
    on_night: OnNight | None = None,
    seconds: float = TIME_LIMIT_SECONDS,
) -> Verification:
    """Verify the whole log by steps 1 and 2, and all entries of the nights `first` to `last` by all seven.

    Without dates: the newest entry. `sampled`: nights whose files have to be there, if not all of these. `seconds`: the
    time that re-deriving a night may take. Raises VerificationError when no entry is of those nights.
    """
    chain = read_chain(evidence)
    names = _chosen(chain, first, last)
    signed = sum(bool(entry.signatures) for entry in chain.entries.values())
    days = [name.day for name in chain.names]
    outcome = Verification(
        place=evidence.root,
        verified_at=datetime.now(UTC),
        entries=len(chain.names),
        signed=signed,
        first=min(days),
        last=max(days),
        head=chain.head.payload_sha256 if chain.head else None,
        faults=list(chain.faults),
        notes=list(chain.notes),
    )
    outcome.faults += [
        f"{name.file}: {fault}"
        for name in chain.names
        if name not in names
        for fault in [*_signature_faults(chain, name, keys), *chain.entry_faults[name]]
    ]
    for name in names:
        outcome.nights.append(_verify_night(evidence, chain, name, keys, sampled, on_night, seconds))
    return outcome


def _chosen(chain: Chain, first: date | None, last: date | None) -> list[EntryName]:
    if not chain.names:
        raise VerificationError(
            "The log has no entries: no night was sealed yet (ECR_AUDIT_EVIDENCE, docs/evidence.md)"
        )
    if first is None and last is None:
        return chain.names[-1:]
    chosen = [name for name in chain.names if (first or date.min) <= name.day <= (last or date.max)]
    if not chosen:
        days = [name.day for name in chain.names]
        raise VerificationError(f"No night from {first} to {last} was sealed; the log is of {min(days)} to {max(days)}")
    return chosen


def _signature_faults(chain: Chain, name: EntryName, keys: Keys) -> list[str]:
    entry = chain.entries.get(name)
    return signature_of(entry, keys.keys, is_trusted=keys.is_trusted)[0] if entry else []


def _verify_night(
    evidence: EvidenceLog,
    chain: Chain,
    name: EntryName,
    keys: Keys,
    sampled: Sequence[date] | None,
    on_night: OnNight | None,
    seconds: float,
) -> NightResult:
    entry = chain.entries.get(name)
    payload = entry.payload_sha256 if entry else ""
    result = NightResult(name.day, name.sequence, name.commit_id, payload, chain.superseded(name))
    if entry is None:
        result.add(1, chain.entry_faults[name], "")
        result.skip(range(2, 8), "the entry cannot be read")
        return result
    is_signed = result.add(1, *signature_of(entry, keys.keys, is_trusted=keys.is_trusted))
    linked = f"entry {name.sequence} of {len(chain.names)}"
    result.add(2, chain.entry_faults[name], linked)
    if sampled is not None and name.day not in sampled and not is_kept(evidence, entry):
        result.skip(range(3, 8), "not among the sampled nights")
        return result
    with tempfile.TemporaryDirectory(prefix="ecr-audit-verify-") as folder:
        restored, faults = restore(evidence, entry, Path(folder))
        _verify_contents(restored, faults, result, is_signed=is_signed, seconds=seconds)
        if on_night:
            on_night(restored, result)
    return result


def _verify_contents(
    restored: Restored, file_faults: list[str], result: NightResult, *, is_signed: bool, seconds: float
) -> None:
    subjects = len(restored.entry.statement.subject)
    if not result.add(3, file_faults, f"{subjects:,} files have the bytes that were sealed"):
        result.skip(range(4, 8), "files are missing or were changed")
        return
    rows = sum(count for commit in restored.commits() for count in commit.rows.values())
    is_counted = result.add(4, row_faults(restored), f"{rows:,} rows in all tables, as committed")
    faults, found = text_faults(restored)
    if not result.add(5, faults, found) or not is_counted or not is_signed:
        result.skip(range(6, 8), "text is run only when steps 1, 3, 4 and 5 hold")
        return
    again = rederive(restored.folder, result.date, seconds)
    if not result.add(6, again.verdict_faults, f"{again.verdicts:,} verdicts follow from what was read"):
        result.skip(range(7, 8), "the verdicts do not follow")
        return
    result.add(7, again.roll_up_faults, f"{again.rolled_up:,} rows of the roll-up follow from the verdicts")
