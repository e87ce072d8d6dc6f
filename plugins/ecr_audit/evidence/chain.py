"""Steps 1 and 2: who signed each entry, and whether the chain of entries is whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ecr_audit.evidence.keys import PublicKey
from ecr_audit.evidence.log import EvidenceError, EvidenceLog
from ecr_audit.evidence.results import Outcome
from ecr_audit.evidence.statement import Entry, EntryName

_MOST_NIGHTS_NAMED = 10


@dataclass(frozen=True)
class Chain:
    """The entries that can be read, by their names, and the faults of each, and of the log as a whole."""

    names: list[EntryName]
    entries: dict[EntryName, Entry]
    entry_faults: dict[EntryName, list[str]]
    faults: list[str]
    notes: list[str]

    @property
    def head(self) -> Entry | None:
        """The newest entry."""
        return self.entries.get(self.names[-1]) if self.names else None

    def superseded(self, name: EntryName) -> bool:
        """Whether a later entry is of the same night."""
        return any(other.day == name.day and other.sequence > name.sequence for other in self.names)


def read_chain(evidence: EvidenceLog) -> Chain:
    """Read the whole log, and compare each entry with the one before it."""
    names, foreign = evidence.names()
    faults = [f"log/{file}: not a name that the audit gives an entry" for file in foreign]
    read = dict(zip(names, evidence.read_all(names), strict=True))
    entry_faults = {name: [str(entry)] if isinstance(entry, EvidenceError) else [] for name, entry in read.items()}
    entries = {name: entry for name, entry in read.items() if isinstance(entry, Entry)}
    for position, name in enumerate(names, start=1):
        before = names[position - 2] if position > 1 else None
        entry_faults[name] += _place_faults(name, before)
        if entry := entries.get(name):
            entry_faults[name] += _link_faults(entry, before, entries)
            entry_faults[name] += _supersedes_faults(entry, name, names, entries)
    return Chain(names, entries, entry_faults, faults, _notes(names))


def signature_of(entry: Entry, keys: Sequence[PublicKey], *, is_trusted: bool) -> tuple[list[str], str, Outcome]:
    """Step 1: the faults; and without any, what was found.

    `is_trusted`: the keys are the verifier's own. Those beside the log anybody may have put there who can write it.
    """
    if not entry.signatures:
        found = "unsigned: the chain and the hashes hold, but whoever can write the log could have made it"
        return (["unsigned, and a key was given"] if is_trusted else []), found, Outcome.NOTE
    if key := entry.signer(keys):
        if is_trusted:
            return [], f"signed by {key.id}", Outcome.OK
        return [], f"signed by {key.id}, a key beside the log: compare it with yours (KEY=)", Outcome.NOTE
    ids = ", ".join(each.keyid[:64] for each in entry.signatures)
    known = ", ".join(key.id for key in keys) or "none"
    if {each.keyid for each in entry.signatures} & {key.id for key in keys}:
        return [f"the signature of {ids} is not of this payload: it was changed after signing"], "", Outcome.OK
    return [f"signed by {ids}, which is none of the keys {known}"], "", Outcome.OK


def _place_faults(name: EntryName, before: EntryName | None) -> list[str]:
    expected = before.sequence + 1 if before else 1
    if before and name.sequence == before.sequence:
        return [f"entry {name.sequence} is there twice: {before.file} and {name.file}"]
    if name.sequence != expected:
        missing = (
            f"entry {expected} is"
            if name.sequence == expected + 1
            else f"entries {expected} to {name.sequence - 1} are"
        )
        return [f"{missing} missing before this one"]
    return []


def _link_faults(entry: Entry, before: EntryName | None, entries: dict[EntryName, Entry]) -> list[str]:
    link = entry.night.previous
    if before is None or link is None:
        return (
            ["names an entry before it, and is the first"] if link else ["names no entry before it"] if before else []
        )
    previous = entries.get(before)
    if previous is None:
        return [f"the entry before it, {before.file}, cannot be read"]
    if link.payload_sha256 != previous.payload_sha256:
        return [
            f"names {link.payload_sha256} as the hash of the entry before it, of {link.date}; {before.file} has"
            f" {previous.payload_sha256}"
        ]
    return [] if link == previous.link else [f"names the entry before it as {link.date} {link.compliance_commit}"]


def _supersedes_faults(
    entry: Entry, name: EntryName, names: Sequence[EntryName], entries: dict[EntryName, Entry]
) -> list[str]:
    earlier = [other for other in names if other.day == name.day and other.sequence < name.sequence]
    link = entry.night.supersedes
    if not earlier:
        return ["supersedes an entry of its night, of which there is none"] if link else []
    expected = entries.get(earlier[-1])
    if expected is None or link == expected.link:
        return []
    return [f"does not name {earlier[-1].file}, the entry of its night that it supersedes"]


def _notes(names: Sequence[EntryName]) -> list[str]:
    """Nights that have no entry, and those that have several: neither is a fault by itself."""
    days = sorted({name.day for name in names})
    if not days:
        return []
    all_days = (days[0] + timedelta(days=n) for n in range((days[-1] - days[0]).days))
    missing = [day for day in all_days if day not in set(days)]
    again = [day for day in days if sum(name.day == day for name in names) > 1]
    notes = [f"nights without an entry: {_listed(missing)}"] if missing else []
    return notes + ([f"nights that were evaluated again: {_listed(again)}"] if again else [])


def _listed(days: Sequence[date]) -> str:
    more = f" and {len(days) - _MOST_NIGHTS_NAMED:,} more" if len(days) > _MOST_NIGHTS_NAMED else ""
    return ", ".join(map(str, days[:_MOST_NIGHTS_NAMED])) + more
