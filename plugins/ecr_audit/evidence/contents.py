"""Steps 3 to 5: what a night rests on, restored from the log alone into a small lake and a folder sql/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ecr_audit.catalog import Catalog, CatalogError, load_catalog
from ecr_audit.catalog.texts import read_texts, texts_hash
from ecr_audit.evidence.figures import targets_by_outcome, verdicts_by_status
from ecr_audit.evidence.log import EvidenceError, EvidenceLog
from ecr_audit.evidence.statement import LAKE, SQL, Entry, EntryError
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, STAGES, WAIVERS
from ecr_audit.lake.storage import LakeError
from ecr_audit.settings import SQL_ROOT
from ecr_audit.text import plural

# A name of a text becomes a path: no step up, and no root.
_TEXT_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*(/[a-z0-9_][a-z0-9_.-]*){0,4}")


@dataclass(frozen=True)
class Restored:
    """The folder of a night that was restored: `lake` and `sql` in it, and nothing else."""

    entry: Entry
    folder: Path

    @property
    def lake(self) -> Lake:
        """A lake of the night, and of the evaluated night before it."""
        return Lake(str(self.folder / "lake"))

    @property
    def sql_root(self) -> Path:
        """The texts."""
        return self.folder / "sql"

    def commits(self) -> list[Commit]:
        """The commits that are in the lake."""
        return self.entry.night.commits()

    def catalog(self) -> Catalog:
        """The policies and frameworks of the texts. Raises CatalogError."""
        return load_catalog(self.sql_root)


def is_kept(evidence: EvidenceLog, entry: Entry) -> bool:
    """Whether all that a night rests on is there: in a bundle, for sampled nights and perhaps for one before them."""
    return all(evidence.has_file(each.digest.sha256) for each in entry.statement.subject)


def restore(evidence: EvidenceLog, entry: Entry, folder: Path) -> tuple[Restored, list[str]]:
    """Step 3: copy all that a night rests on into a folder, each file checked against its hash. Returns the faults."""
    restored, faults = Restored(entry, folder), list[str]()
    restored.sql_root.mkdir(parents=True)
    for prefix, root in ((LAKE, folder / "lake"), (SQL, restored.sql_root)):
        for name, sha256 in _in_its_folder(entry, prefix, faults):
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                evidence.fetch_file(sha256, target)
            except (EvidenceError, LakeError) as fault:
                faults.append(f"{prefix}{name}: {fault}")
    try:
        committed = {name for commit in restored.commits() for names in commit.files.values() for name in names}
        faults += [f"{name}: is committed, and not among the subjects" for name in committed - set(entry.hashes(LAKE))]
        for commit in restored.commits():
            with restored.lake.storage.scratch("restore") as scratch:
                restored.lake.put_commit(commit, scratch)
    except (LakeError, EntryError) as fault:
        faults.append(str(fault))
    return restored, faults


def _in_its_folder(entry: Entry, prefix: str, faults: list[str]) -> Iterator[tuple[str, str]]:
    """The subjects of a prefix; one whose name could lead elsewhere is a fault."""
    try:
        committed = {name for commit in entry.night.commits() for names in commit.files.values() for name in names}
    except (LakeError, EntryError):
        committed = set()  # `restore` notes it
    for name, sha256 in entry.hashes(prefix).items():
        if name in committed if prefix == LAKE else _TEXT_NAME.fullmatch(name):
            yield name, sha256
        else:
            faults.append(f"{prefix}{name[:100]!r}: is not a name of such a file")


def row_faults(restored: Restored) -> list[str]:
    """Step 4: whether the files have the rows and columns that were committed, and the figures of the entry."""
    faults: list[str] = []
    lake, night = restored.lake, restored.entry.night
    for commit in restored.commits():
        for table in STAGES[commit.stage]:
            if table.name in commit.files:
                try:
                    with lake.local_table(commit, table):
                        pass
                except LakeError as fault:
                    faults.append(str(fault))
    if faults:
        return faults
    inventory, compliance = (lake.read_commit(stage, night.date) for stage in ("inventory", "compliance"))
    if inventory is None or compliance is None:
        return [f"the commits are not of {night.date}"]
    [waivers] = compliance.files[WAIVERS.name]
    figures = {
        "accounts": (night.accounts, inventory.rows[ACCOUNTS.name]),
        "coverage": (night.coverage, targets_by_outcome(lake, inventory)),
        "verdicts": (night.verdicts, verdicts_by_status(lake, compliance)),
        "waivers_sha256": (night.waivers_sha256, restored.entry.hashes(LAKE).get(waivers)),
    }
    return [
        f"{name}: the entry has {noted}, its files {found}"
        for name, (noted, found) in figures.items()
        if noted != found
    ]


def text_faults(restored: Restored) -> tuple[list[str], str]:
    """Step 5: whether the texts are those that the night was evaluated by; and whether this release knows them."""
    night, texts = restored.entry.night, read_texts(restored.sql_root)
    faults = []
    found = texts_hash(texts)
    for place, noted in (("the entry", night.sql_hash), ("the commit", night.compliance["details"].get("sql_hash"))):
        if noted != found:
            faults.append(f"the texts have the hash {found}, {place} {noted}")
    if foreign := sorted(set(restored.entry.hashes(SQL)) - set(texts)):
        faults.append(f"texts that nothing rests on: {', '.join(foreign)}")
    try:
        policies = {policy.id: policy.hash for policy in restored.catalog().policies}
    except (CatalogError, OSError) as fault:
        return [*faults, str(fault)], ""
    for place, noted in (("the entry", night.policies), ("the commit", night.compliance["details"].get("policies"))):
        if noted != policies:
            differ = sorted({each for each, _ in set(dict(noted or {}).items()) ^ set(policies.items())})
            faults.append(f"policies whose text has another hash than {place}: {', '.join(differ)}")
    known = read_texts(SQL_ROOT)
    unknown = sum(known.get(name) != text for name, text in texts.items())
    known_or_not = f"{unknown:,} of them not those of this release" if unknown else "all known to this release"
    return faults, f"{plural(len(texts), 'text')}, {known_or_not}"
