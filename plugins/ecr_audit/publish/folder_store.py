"""Publications in a folder of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from ecr_audit.lake.storage import locked
from ecr_audit.publish.publication import (
    BUILDING,
    CHECKSUMS,
    DATABASE,
    LATEST,
    PUBLISH_AGAIN,
    DamagedLatestError,
    Latest,
    PublicationError,
    Published,
    parse_latest,
    previous_version,
)
from ecr_audit.untrusted_files import is_inside, read_bytes

LOCK = ".lock"


class PublicationStore:
    """The publications in a folder of this machine. `setting` names it, and is named in errors."""

    def __init__(self, folder: Path, setting: str = "ECR_AUDIT_DATA") -> None:
        self._folder = folder
        self._setting = setting
        self._versions = folder / "versions"

    def newest(self) -> Published:
        """See `newest`."""
        if (latest := self.latest()) is None:
            raise FileNotFoundError(
                f"{self._setting}: '{self._folder / DATABASE}' is not there. "
                "Run make audit, or name the audit's folder."
            )
        folder = self._versions / latest.version
        published = Published(latest.version, latest.snapshot_date, folder, latest.missing_at(datetime.now(UTC)), self)
        if not is_inside(published.database, self._folder):
            raise PublicationError(
                f"{self._setting}: '{published.database}' is a link to a file elsewhere. {PUBLISH_AGAIN}"
            )
        if not published.database.exists():
            raise latest.without_database(f"{self._setting}: '{self._folder / LATEST}'")
        return published

    @property
    def address(self) -> str:
        """Where people find the newest database."""
        return str(self._folder / DATABASE)

    def lasting_path(self, published: Published) -> Path:
        """Where the database of a publication, which is the newest, is; the next one comes to the same path."""
        return self._folder / DATABASE

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder to build a publication, or files of one, in. One publisher at a time.

        Files of killed runs are removed: with the lock held, no other run can be building.
        """
        with ExitStack() as held:
            try:
                self._versions.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self._folder / LOCK))
            except OSError as fault:
                raise PublicationError(f"{self._setting}: '{self._folder}' cannot be written ({fault})") from fault
            for leftover in self._folder.glob(f"{BUILDING}*"):
                is_folder = leftover.is_dir() and not leftover.is_symlink()
                shutil.rmtree(leftover) if is_folder else leftover.unlink()
            aside = Path(tempfile.mkdtemp(prefix=BUILDING, dir=self._folder))
            try:
                yield aside
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def add(
        self, built: Path, version: str, snapshot_date: date, missing_exports: Mapping[str, str] | None = None
    ) -> Published:
        """Make the build the newest publication, without the given exports. Call it while `building`.

        All others are removed but the one before, which a reader may be about to open.
        """
        _flush(built)
        published = Published(version, snapshot_date, self._versions / version, missing_exports or {})
        # The build folder is for its owner only; a publication is for everyone who may enter the folder above it.
        built.chmod(0o755)
        built.replace(published.folder)
        for file in sorted(published.folder.iterdir(), key=lambda file: file.name == DATABASE):
            self._replace(file, self._folder / file.name)
        before = self._versions / previous_version(self.latest, version)
        for file in before.glob("*"):
            if not (published.folder / file.name).exists():
                (self._folder / file.name).unlink(missing_ok=True)  # not published, or not yet: it shows an old day
        self._name_newest(published)
        for old in self._versions.iterdir():
            if old not in (published.folder, before):
                # Somebody else's file or folder may be among them, and must not make a publication fail.
                shutil.rmtree(old, ignore_errors=True)
        return published

    def complete(self, published: Published, added: Path, missing_exports: Mapping[str, str]) -> Published:
        """Add files to the newest publication, which then lacks the given exports. Call it while `building`.

        Its other files stay as they are, but for the checksums, which come after what they are of.
        """
        completed = replace(published, missing_exports=missing_exports)
        _flush(added)
        for file in sorted(added.iterdir(), key=lambda file: file.name == CHECKSUMS):
            there = published.folder / file.name
            file.replace(there)
            self._replace(there, self._folder / file.name)
        self._name_newest(completed)
        return completed

    def sizes(self, published: Published) -> dict[str, int]:
        """See `PublishedFiles`."""
        try:
            return {file.name: file.stat().st_size for file in published.folder.iterdir()}
        except OSError as fault:
            raise PublicationError(f"{self._setting}: '{published.folder}' cannot be read ({fault})") from fault

    def fetch(self, published: Published, name: str, target: Path) -> None:
        """See `PublishedFiles`."""
        file = published.folder / name
        if not is_inside(file, published.folder):
            raise PublicationError(f"{self._setting}: '{file}' is a link to a file elsewhere. {PUBLISH_AGAIN}")
        try:
            shutil.copyfile(file, target)
        except OSError as fault:
            raise PublicationError(f"{self._setting}: '{file}' cannot be read ({fault})") from fault

    def checksums(self, published: Published) -> str:
        """The checksums of a publication's files."""
        return (published.folder / CHECKSUMS).read_text(encoding="utf-8")

    def latest(self) -> Latest | None:
        """The newest version as `latest.json` names it, without reading any of its files; None without one."""
        address = f"{self._setting}: '{self._folder / LATEST}'"
        try:
            return parse_latest(read_bytes(self._folder / LATEST), address)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise DamagedLatestError(f"{address} cannot be read ({fault.strerror}). {PUBLISH_AGAIN}") from fault

    def _name_newest(self, published: Published) -> None:
        latest = self._folder / f"{BUILDING}{LATEST}"
        latest.write_text(published.as_latest(), encoding="utf-8")
        latest.replace(self._folder / LATEST)

    def _replace(self, file: Path, target: Path) -> None:
        aside = self._folder / f"{BUILDING}{file.name}"
        aside.unlink(missing_ok=True)
        try:
            os.link(file, aside)
        except OSError:  # a file system without links
            shutil.copyfile(file, aside)
        aside.replace(target)


def _flush(folder: Path) -> None:
    """Content before name: a power cut must not leave an empty file."""
    for file in folder.iterdir():
        with file.open("rb+") as content:
            os.fsync(content.fileno())
