"""Publications on S3, and the local cache of those that are read."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ecr_audit.lake.s3 import S3, S3Error
from ecr_audit.lake.storage import locked
from ecr_audit.publish.progress import log_writing
from ecr_audit.publish.publication import (
    BUILDING,
    CHECKSUMS,
    DATABASE,
    LATEST,
    PUBLISH_AGAIN,
    TIME_FORMAT,
    VERSION,
    Latest,
    PublicationError,
    Published,
    parse_latest,
    previous_version,
)
from ecr_audit.untrusted_files import MOST_BYTES

log = logging.getLogger(__name__)

_LOCK = ".lock"

# Seconds that a version is kept at least, since its readers and writers are not known.
_GRACE = timedelta(days=1)


class S3PublicationStore:
    """The publications at a place on S3. The databases that are read are kept in a local cache, a folder a version.

    There is no lock: one publisher at a time is the DAG's `max_active_runs=1`. Only the removal of old versions lists
    objects; a listing may be late, and what it does not show is removed by a later publication.
    """

    def __init__(self, place: S3, cache: Path) -> None:
        self._place = place
        self._cache = cache

    @property
    def address(self) -> str:
        """Where people find which database is the newest."""
        return f"{self._place.url}/{LATEST}"

    def lasting_path(self, published: Published) -> Path:
        """Where the database of a publication is: in the cache, in which each has a path of its own."""
        return published.database

    def newest(self) -> Published:
        """See `newest`."""
        if (latest := self.latest()) is None:
            raise FileNotFoundError(
                f"ECR_AUDIT_PUBLISH: '{self.address}' does not exist. Run the audit, or name the place it publishes to."
            )
        folder = self._cache / latest.version
        published = Published(latest.version, latest.snapshot_date, folder, latest.missing_at(datetime.now(UTC)), self)
        if not published.database.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            # One downloads it, for all threads and processes of this machine.
            with locked(self._cache / _LOCK):
                if not published.database.exists():
                    try:
                        self._keep(published)
                    except FileNotFoundError as fault:  # which would mean that nothing has been published
                        raise latest.without_database(f"ECR_AUDIT_PUBLISH: '{self.address}'") from fault
        return published

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A local folder to build a publication, or files of one, in."""
        with tempfile.TemporaryDirectory(prefix=BUILDING) as folder:
            yield Path(folder)

    def add(
        self, built: Path, version: str, snapshot_date: date, missing_exports: Mapping[str, str] | None = None
    ) -> Published:
        """Make the build the newest publication, without the given exports.

        Old ones are removed, or a warning has the reason why not.
        """
        published = Published(version, snapshot_date, self._cache / version, missing_exports or {})
        previous = previous_version(self.latest, version)
        with self._writing():
            self._put(published, built)
            self._name_newest(published, built)
        self._keep(published, built / DATABASE)
        try:
            self._remove_old({version, previous})
        except S3Error as fault:  # the publication is complete, and nothing later depends on the removal
            log.warning("ECR_AUDIT_PUBLISH: old versions at '%s' cannot be removed (%s)", self._place.url, fault)
        return published

    def complete(self, published: Published, added: Path, missing_exports: Mapping[str, str]) -> Published:
        """Add files to a publication, which then lacks the given exports.

        Its other files stay as they are, but for the checksums, which come after what they are of. There is no lock: if
        it is no longer the newest, `latest.json` names another and stays.
        """
        completed = replace(published, missing_exports=missing_exports)
        with self._writing():
            self._put(completed, added)
            latest = self.latest()
            if latest and latest.version == completed.version:
                self._name_newest(completed, added)
        return completed

    def sizes(self, published: Published) -> dict[str, int]:
        """See `PublishedFiles`. A listing may be late to show the files that are added last."""
        folder = f"versions/{published.version}/"
        try:
            return {name.removeprefix(folder): size for name, size in self._place.sizes(folder, after=folder)}
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self._place.url}' cannot be read ({fault})") from fault

    def fetch(self, published: Published, name: str, target: Path) -> None:
        """See `PublishedFiles`."""
        try:
            self._place.download(f"versions/{published.version}/{name}", target)
        except (S3Error, FileNotFoundError) as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{name}' cannot be read ({fault})") from fault

    def checksums(self, published: Published) -> str:
        """The checksums of a publication's files."""
        name = f"versions/{published.version}/{CHECKSUMS}"
        try:
            found = self._place.get(name, MOST_BYTES)
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self._place.url}' cannot be read ({fault})") from fault
        if found is None:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self._place.url}/{name}' does not exist. {PUBLISH_AGAIN}")
        return found.decode()

    def latest(self) -> Latest | None:
        """The newest version as `latest.json` names it, without reading any of its files; None without one."""
        try:
            found = self._place.get(LATEST, MOST_BYTES + 1)
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self.address}' cannot be read ({fault})") from fault
        return None if found is None else parse_latest(found, f"ECR_AUDIT_PUBLISH: '{self.address}'")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except S3Error as fault:
            raise PublicationError(f"ECR_AUDIT_PUBLISH: '{self._place.url}' cannot be written ({fault})") from fault

    def _put(self, published: Published, folder: Path) -> None:
        with log_writing(f"all files to {self._place.url}"):
            for file in sorted(folder.iterdir(), key=lambda file: (file.name == CHECKSUMS, file.name)):
                self._place.put(file, f"versions/{published.version}/{file.name}")

    def _name_newest(self, published: Published, folder: Path) -> None:
        latest = folder / LATEST
        latest.write_text(published.as_latest(), encoding="utf-8")
        self._place.put(latest, LATEST)

    def _remove_old(self, kept: set[str]) -> None:
        before = f"{datetime.now(UTC) - _GRACE:{TIME_FORMAT}}"
        names = [(name.split("/")[1], name) for name in self._place.names("versions/")]
        versions = {version for version, _ in names if re.match(VERSION, version) and version < before} - kept
        self._place.delete([name for version, name in names if version in versions])

    def _keep(self, published: Published, database: Path | None = None) -> None:
        """Put the database of a version into the cache, a copy of the one that is given; and forget older ones."""
        # Within the version's folder, so that what a killed process leaves goes with it; two may run in parallel.
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
