"""A bundle for an auditor: the log of a period, and all that a sample of its nights rests on, in one zip.

openssl, sha256sum and duckdb suffice to verify it (evidence/bundle_readme.py); `make verify BUNDLE=` verifies more.
"""

from __future__ import annotations

import random
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.evidence.bundle_readme import CHAIN_SQL, readme
from ecr_audit.evidence.contents import restore
from ecr_audit.evidence.log import EvidenceError, EvidenceLog
from ecr_audit.evidence.script import rederive_script
from ecr_audit.evidence.statement import Entry, EntryName
from ecr_audit.untrusted_files import parse_json, sha256_of

SAMPLE = "sample.json"

# The members that a verification reads; all others are for people and other programs.
_READ = re.compile(r"(log|files|keys)/[0-9A-Za-z._-]{1,120}|sample\.json")
# A member that unpacks to more than this many times its size was made to fill the disk.
_MOST_UNPACKED = 200
_SMALL = 1 << 20


class BundleError(FinalError):
    """A bundle cannot be made or read; the message says why."""


class Sample(BaseModel):
    """The period of a bundle, and its sample: whoever knows the seed draws the same nights."""

    model_config = ConfigDict(frozen=True)

    first: date
    last: date
    size: int
    seed: int
    nights: list[date]


_SAMPLE = TypeAdapter(Sample)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was made."""

    path: Path
    sample: Sample
    entries: int


def draw(nights: Iterable[date], first: date, last: date, size: int, seed: int) -> Sample:
    """A sample of the nights of a period, drawn without replacement. Raises BundleError when it has none."""
    known = sorted(set(nights))
    period = [night for night in known if first <= night <= last]
    if not period:
        of = f"the log is of {known[0]} to {known[-1]}" if known else "the log has no entries"
        raise BundleError(f"No night from {first} to {last} was sealed; {of}")
    drawn = sorted(random.Random(seed).sample(period, min(size, len(period))))  # noqa: S311 - to be drawn again
    return Sample(first=first, last=last, size=size, seed=seed, nights=drawn)


def write_bundle(
    evidence: EvidenceLog,
    path: Path,
    first: date,
    last: date,
    *,
    size: int,
    seed: int,
    exports: Mapping[str, Path] | None = None,
) -> Bundle:
    """Write the zip. `exports`: files that are put beside, by their names.

    The whole log goes in, for a chain has no gap. Raises BundleError, also for a sampled night whose files are not as
    they were sealed: a bundle is not made of what does not verify.
    """
    names, _ = evidence.names()
    sample = draw((name.day for name in names), first, last, size, seed)
    with tempfile.TemporaryDirectory(prefix="ecr-audit-bundle-") as scratch:
        folder = Path(scratch, "bundle")
        entries = [_copy_entry(evidence, name, folder) for name in names]
        for key in evidence.public_keys():
            _write(folder / "keys" / f"{key.id}.pem", key.pem)
        for name, entry in zip(names, entries, strict=True):
            if name.day in sample.nights:
                _copy_night(evidence, entry, folder, Path(scratch, f"night-{name.sequence}"))
        for file, source in (exports or {}).items():
            _write(folder / "exports" / file, source.read_bytes())
        _write(folder / SAMPLE, sample.model_dump_json(indent=1).encode())
        _write(folder / "chain.sql", CHAIN_SQL.encode())
        _write(folder / "README.md", readme(sample.first, sample.last, sample.nights, entries).encode())
        _write_sums(folder)
        _zip(folder, path)
    return Bundle(path, sample, len(entries))


@contextmanager
def opened_bundle(path: Path) -> Iterator[tuple[EvidenceLog, Sample]]:
    """The log in a zip, unpacked for the block. Raises BundleError, also for a sample that the seed does not draw."""
    with tempfile.TemporaryDirectory(prefix="ecr-audit-bundle-") as folder:
        try:
            with zipfile.ZipFile(path) as bundle:
                _unpack(bundle, Path(folder))
            sample = parse_json(Path(folder, SAMPLE).read_bytes(), _SAMPLE)
        except (OSError, ValueError, zipfile.BadZipFile) as fault:
            raise BundleError(f"BUNDLE: '{path}': is not a bundle of make evidence ({fault})") from fault
        evidence = EvidenceLog(folder)
        days = [name.day for name in evidence.names()[0]]
        if draw(days, sample.first, sample.last, sample.size, sample.seed) != sample:
            raise BundleError(f"BUNDLE: '{path}': {SAMPLE} has other nights than its seed draws of the log")
        yield evidence, sample


def _copy_entry(evidence: EvidenceLog, name: EntryName, folder: Path) -> Entry:
    """Copy an entry; with its payload and signatures as files of their own, for programs that know no JSON."""
    try:
        entry = evidence.read(name)
    except EvidenceError as fault:
        raise BundleError(f"{fault}. Verify the log first: make verify") from fault
    content = evidence.storage.read(f"log/{name.file}")
    _write(folder / "log" / name.file, content or b"")
    _write(folder / "payloads" / f"{name.stem}.json", entry.payload)
    for signature in entry.signatures:
        _write(folder / "signatures" / signature.keyid / f"{name.stem}.sig", signature.content)
    return entry


def _copy_night(evidence: EvidenceLog, entry: Entry, folder: Path, scratch: Path) -> None:
    scratch.mkdir()
    restored, faults = restore(evidence, entry, scratch)
    if faults:
        raise BundleError(f"{entry.night.date}: {'; '.join(faults[:3])}. Verify the log: make verify")
    for subject in entry.statement.subject:
        target = folder / "files" / subject.digest.sha256
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            evidence.fetch_file(subject.digest.sha256, target)
    script = rederive_script(entry, restored.catalog())
    _write(folder / "rederive" / f"{entry.name.stem}.sql", script.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _members(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_sums(folder: Path) -> None:
    lines = [f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in _members(folder)]
    _write(folder / "SHA256SUMS", "".join(lines).encode())


def _zip(folder: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for member in _members(folder):
            bundle.write(member, member.relative_to(folder).as_posix())


def _unpack(bundle: zipfile.ZipFile, folder: Path) -> None:
    for member in bundle.infolist():
        if not _READ.fullmatch(member.filename):
            continue
        if member.file_size > max(_SMALL, _MOST_UNPACKED * member.compress_size):
            raise ValueError(f"{member.filename} unpacks to {member.file_size:,} bytes")
        bundle.extract(member, folder)
