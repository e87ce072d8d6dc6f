"""Where publications are kept, and which is the newest.

    <root>/versions/<version>/…   all files of a publication; once there they never change
    <root>/latest.json            names the newest version; replaced last, in one step
    <root>/compliance.duckdb …    in a folder, the files of the newest under names that stay, for people and BI tools

The root is a folder, or a place on S3 (`ECR_AUDIT_PUBLISH`). `newest` is the one way for programs to find it; `python
-m ecr_audit.publish.store` says where it is. Who keeps a connection open (a web server) needs the versioned path: a
process that still has a DuckDB file open gets the old database again when it opens the same path anew.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.lake.s3 import S3, S3Error
from ecr_audit.lake.storage import locked
from ecr_audit.place import is_on_s3
from ecr_audit.settings import Settings, load_settings
from ecr_audit.untrusted_files import MOST_BYTES, is_inside, parse_json, read_bytes

log = logging.getLogger(__name__)

DATABASE = "compliance.duckdb"
LATEST = "latest.json"
LOCK = ".lock"

_BUILDING = ".publishing-"

# Versions begin with their time, so that they sort by it, and their age shows.
_TIME = "%Y%m%dT%H%M%S%f"
_VERSION = r"^[0-9]{8}T[0-9]{12}-[0-9a-f]{12}$"  # as `version_of` makes them

# On S3, where nothing tells whether somebody is reading or writing a version, it is kept at least so long.
_GRACE = timedelta(days=1)

_PUBLISH_AGAIN = "Run ecr_compliance again, which replaces it."


class PublicationError(FinalError):
    """The place for publications cannot be written, or read."""


class DamagedLatestError(PublicationError):
    """latest.json does not name a version. The next publication replaces it."""


@dataclass(frozen=True)
class _Latest:
    """The content of latest.json. The version becomes part of a path, so that nothing else may be in it."""

    version: Annotated[str, Field(pattern=_VERSION)]
    snapshot_date: date


_LATEST = TypeAdapter(_Latest)


@dataclass(frozen=True)
class Published:
    """A publication: its version (unique, sorted by time), its snapshot, and the local folder of its database.

    In a folder, all other files are there as well; on S3 they stay there, and the local folder is a cache.
    """

    version: str
    snapshot_date: date
    folder: Path

    @property
    def database(self) -> Path:
        """The DuckDB file. No other publication ever has this path."""
        return self.folder / DATABASE


def newest(settings: Settings) -> Published:
    """The newest publication of the audit that the settings name.

    Cheap enough to ask before each page: it reads one small file, and downloads a version from S3 once. Its files stay
    until two more publications have been made; to go on after that, ask again. Raises FileNotFoundError when nothing
    has been published, PublicationError when what is there cannot be read, or is not a publication.
    """
    return publication_store(settings).newest()


def newest_date(settings: Settings) -> date | None:
    """The date of the newest publication's snapshot, which downloads nothing; None when nothing has been published.

    Raises PublicationError when what is there cannot be read.
    """
    latest = publication_store(settings)._latest()
    return None if latest is None else latest.snapshot_date


def publication_store(settings: Settings) -> PublicationStore | S3PublicationStore:
    """The publications of the audit that the settings name."""
    root = settings.publish_root
    if is_on_s3(root):
        return S3PublicationStore(S3(root, settings.s3_encryption), settings.data / "cache")
    setting = "ECR_AUDIT_PUBLISH" if settings.publish else "ECR_AUDIT_DATA"
    return PublicationStore(Path(root), setting)


def version_of(published_at: datetime, commit_id: str) -> str:
    """The version of what is published at a time (UTC), of a compliance commit."""
    return f"{published_at:{_TIME}}-{commit_id}"


class PublicationStore:
    """The publications in a folder of this machine. `setting` is the one that names it, for errors to say."""

    def __init__(self, folder: Path, setting: str = "ECR_AUDIT_DATA") -> None:
        self._folder = folder
        self._setting = setting
        self._versions = folder / "versions"

    def newest(self) -> Published:
        """See `newest`."""
        if (latest := self._latest()) is None:
            raise FileNotFoundError(
                f"{self._setting}: '{self._folder / DATABASE}' is not there. "
                "Run make audit, or name the audit's folder."
            )
        published = Published(latest.version, latest.snapshot_date, self._versions / latest.version)
        if not is_inside(published.database, self._folder):
            raise PublicationError(
                f"{self._setting}: '{published.database}' is a link to a file elsewhere. {_PUBLISH_AGAIN}"
            )
        return published

    @property
    def address(self) -> str:
        """Where people find the newest database."""
        return str(self._folder / DATABASE)

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder to build a publication in. One publisher at a time.

        What killed runs left is removed: with the lock held, no other run can be building.
        """
        with ExitStack() as held:
            try:
                self._versions.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self._folder / LOCK))
            except OSError as fault:
                raise PublicationError(f"{self._setting}: '{self._folder}' cannot be written ({fault})") from fault
            for leftover in self._folder.glob(f"{_BUILDING}*"):
                is_folder = leftover.is_dir() and not leftover.is_symlink()
                shutil.rmtree(leftover) if is_folder else leftover.unlink()
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
        before = self._versions / _previous_version(self, version)
        latest = self._folder / f"{_BUILDING}{LATEST}"
        latest.write_text(_document(published), encoding="utf-8")
        latest.replace(self._folder / LATEST)
        for file in before.glob("*"):
            if not (published.folder / file.name).exists():
                (self._folder / file.name).unlink(missing_ok=True)  # published no more: it would show an old day
        for old in self._versions.iterdir():
            if old not in (published.folder, before):
                # Of what is not a version, nothing is expected, and it must not make a publication fail.
                shutil.rmtree(old, ignore_errors=True)
        return published

    def _latest(self) -> _Latest | None:
        address = f"{self._setting}: '{self._folder / LATEST}'"
        try:
            return _parse_latest(read_bytes(self._folder / LATEST), address)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise DamagedLatestError(f"{address} cannot be read ({fault.strerror}). {_PUBLISH_AGAIN}") from fault

    def _replace(self, file: Path, target: Path) -> None:
        aside = self._folder / f"{_BUILDING}{file.name}"
        aside.unlink(missing_ok=True)
        try:
            os.link(file, aside)
        except OSError:  # a file system without links
            shutil.copyfile(file, aside)
        aside.replace(target)


class S3PublicationStore:
    """The publications at a place on S3. What is read of them is kept in a local cache, a folder a version.

    There is no lock: one publisher at a time is the DAG's `max_active_runs=1`. Nothing but the removal of old versions
    looks at a listing, which may be late: what it does not show is removed by a later publication.
    """

    def __init__(self, place: S3, cache: Path) -> None:
        self._place = place
        self._cache = cache

    @property
    def address(self) -> str:
        """Where people find which database is the newest."""
        return f"{self._place.url}/{LATEST}"

    def newest(self) -> Published:
        """See `newest`."""
        if (latest := self._latest()) is None:
            raise FileNotFoundError(
                f"ECR_AUDIT_PUBLISH: '{self.address}' is not there. Run the audit, or name the place it publishes to."
            )
        published = Published(latest.version, latest.snapshot_date, self._cache / latest.version)
        if not published.database.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            # One downloads it, for all threads and processes of this machine.
            with locked(self._cache / LOCK):
                if not published.database.exists():
                    self._keep(published)
        return published

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A local folder to build a publication in."""
        with tempfile.TemporaryDirectory(prefix=_BUILDING) as folder:
            yield Path(folder)

    def add(self, built: Path, version: str, snapshot_date: date) -> Published:
        """Make what was built the newest publication; old ones are removed."""
        published = Published(version, snapshot_date, self._cache / version)
        try:
            previous = _previous_version(self, version)
            for file in sorted(built.iterdir()):
                self._place.put(file, f"versions/{version}/{file.name}")
            latest = built / LATEST
            latest.write_text(_document(published), encoding="utf-8")
            self._place.put(latest, LATEST)
            self._remove_old({version, previous})
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self._place.url}' cannot be written ({fault})") from fault
        self._keep(published, built / DATABASE)
        return published

    def _latest(self) -> _Latest | None:
        try:
            found = self._place.get(LATEST, MOST_BYTES + 1)
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self.address}' cannot be read ({fault})") from fault
        return None if found is None else _parse_latest(found, f"ECR_AUDIT_PUBLISH: '{self.address}'")

    def _remove_old(self, kept: set[str]) -> None:
        before = f"{datetime.now(UTC) - _GRACE:{_TIME}}"
        names = [(name.split("/")[1], name) for name in self._place.names("versions/")]
        versions = {version for version, _ in names if re.match(_VERSION, version) and version < before} - kept
        self._place.delete([name for version, name in names if version in versions])

    def _keep(self, published: Published, database: Path | None = None) -> None:
        """Put the database of a version into the cache, a copy of the one that is given; and forget older ones."""
        # Within the version's folder, so that what a killed process leaves goes with it; two may do the same at once.
        aside = published.folder / f".{uuid.uuid4().hex}"
        published.folder.mkdir(parents=True, exist_ok=True)
        try:
            if database:
                shutil.copyfile(database, aside)
            else:
                self._place.download(f"versions/{published.version}/{DATABASE}", aside)
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self._place.url}' cannot be read ({fault})") from fault
        aside.replace(published.database)
        others = sorted(folder for folder in self._cache.iterdir() if folder.is_dir() and folder != published.folder)
        for old in others[:-1]:
            shutil.rmtree(old, ignore_errors=True)


def _parse_latest(content: bytes, address: str) -> _Latest:
    try:
        return parse_json(content, _LATEST)
    except ValueError as fault:
        raise DamagedLatestError(f"{address} does not name a version ({fault}). {_PUBLISH_AGAIN}") from fault


def _previous_version(place: PublicationStore | S3PublicationStore, version: str) -> str:
    """The version that is the newest until now; without one that can be read, the given one, which is next."""
    try:
        previous = place._latest()
    except DamagedLatestError as fault:
        log.warning("%s", fault)
        return version
    return previous.version if previous else version


def _document(published: Published) -> str:
    return json.dumps({"version": published.version, "snapshot_date": published.snapshot_date.isoformat()})


def main() -> int:
    """Print the path of the newest database, for `make sql` and `make bi`, if it may be opened; returns the exit code.

    In a folder it is the name under which later publications come, too; on S3 that of this one, in the cache.
    """
    import duckdb

    from ecr_audit.publish.published_file import open_published
    from ecr_audit.terminal import print_error

    try:
        settings = load_settings()
        database = newest(settings).database
        open_published(database).close()
        path = database if is_on_s3(settings.publish_root) else publication_store(settings).address
        sys.stdout.write(f"{path}\n")
    except (OSError, FinalError, duckdb.Error) as fault:
        print_error(fault)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
