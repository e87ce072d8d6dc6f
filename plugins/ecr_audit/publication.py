"""Where publications are kept, and which is the newest.

    <root>/versions/<version>/…   all files of a publication; once there they never change
    <root>/latest.json            names the newest version; replaced last, in one step
    <root>/compliance.duckdb …    locally, the files of the newest under names that stay, for people and BI tools

`newest` is the one way for programs to find it. Who keeps a connection open (a web server) needs the versioned path:
a process that still has a DuckDB file open gets the old database again when it opens the same path anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ecr_audit.errors import FinalError
from ecr_audit.settings import Settings

DATABASE = "compliance.duckdb"
LATEST = "latest.json"

_BUILDING = ".publishing-"


class PublicationError(FinalError):
    """The place for publications cannot be written."""


@dataclass(frozen=True)
class Published:
    """A publication: its version (unique, sorted by time), its snapshot, and the local folder of its files."""

    version: str
    snapshot_date: date
    folder: Path

    @property
    def database(self) -> Path:
        """The DuckDB file. No other publication ever has this path."""
        return self.folder / DATABASE


def newest(settings: Settings) -> Published:
    """The newest publication of the audit that the settings name.

    Cheap enough to ask before each page: it reads one small file. Its files stay until two more publications have
    been made; to go on after that, ask again. Raises FileNotFoundError when nothing has been published.
    """
    return Publications(settings.publish_folder).newest()


class Publications:
    """The publications in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions = folder / "versions"

    def newest(self) -> Published:
        """See `newest`."""
        if (latest := self._latest()) is None:
            raise FileNotFoundError(
                f"ECR_AUDIT_DATA: '{self._folder / DATABASE}' is not there. Run make audit, or name the audit's folder."
            )
        version = latest["version"]
        return Published(version, date.fromisoformat(latest["snapshot_date"]), self._versions / version)

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder to build a publication in. One publisher at a time.

        What killed runs left is removed: with the lock held, no other run can be building.
        """
        try:
            self._versions.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        except OSError as fault:
            raise PublicationError(f"ECR_AUDIT_DATA: '{self._folder}' cannot be written ({fault})") from fault
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in self._folder.glob(f"{_BUILDING}*"):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            aside = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=self._folder))
            try:
                yield aside
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def add(self, built: Path, version: str, snapshot_date: date) -> Published:
        """Make what was built the newest publication. Call it while `building`.

        All others are removed but the one before, which a reader may be about to open.
        """
        for file in built.iterdir():
            with file.open("rb+") as content:
                os.fsync(content.fileno())  # content before name: a power cut must not leave an empty file
        published = Published(version, snapshot_date, self._versions / version)
        # The folder that is built in is for its owner alone; what is published is for whoever may enter above it.
        built.chmod(0o755)
        built.replace(published.folder)
        for file in sorted(published.folder.iterdir(), key=lambda file: file.name == DATABASE):
            self._replace(file, self._folder / file.name)
        previous = self._latest()
        latest = self._folder / f"{_BUILDING}{LATEST}"
        latest.write_text(json.dumps({"version": version, "snapshot_date": snapshot_date.isoformat()}))
        latest.replace(self._folder / LATEST)
        kept = {version, previous["version"] if previous else version}
        for old in (old for old in self._versions.iterdir() if old.name not in kept):
            shutil.rmtree(old)
        return published

    def _latest(self) -> dict[str, str] | None:
        try:
            return json.loads((self._folder / LATEST).read_text(encoding="utf-8"))  # type: ignore[no-any-return]
        except FileNotFoundError:
            return None

    def _replace(self, file: Path, target: Path) -> None:
        aside = self._folder / f"{_BUILDING}{file.name}"
        aside.unlink(missing_ok=True)
        try:
            os.link(file, aside)
        except OSError:  # a file system without links
            shutil.copyfile(file, aside)
        aside.replace(target)
