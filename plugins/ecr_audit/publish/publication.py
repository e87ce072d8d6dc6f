"""A publication: its version, the local folder of its database, and `latest.json`, which names the newest."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field, TypeAdapter

from ecr_audit.errors import FinalError
from ecr_audit.untrusted_files import parse_json

log = logging.getLogger(__name__)

DATABASE = "compliance.duckdb"
LATEST = "latest.json"
# As sha256sum writes it, and checks it with --check.
CHECKSUMS = "SHA256SUMS"

# Versions begin with their time, so that they sort by it, and their age shows.
TIME_FORMAT = "%Y%m%dT%H%M%S%f"
VERSION = r"^[0-9]{8}T[0-9]{12}-[0-9a-f]{12}$"  # as `version_of` makes them

# A folder of this name is being built in.
BUILDING = ".publishing-"

# Why an export is missing. Nobody is there to write a reason when the task that adds it is killed: once it has had
# all its attempts, readers see the second one.
NOT_YET = "not written yet; the task complete_publication writes it"
ENDED = "not written: the task complete_publication ended without it. Clear that task"
ALL_ATTEMPTS = timedelta(hours=4)

PUBLISH_AGAIN = "Run ecr_compliance again, which replaces it."


class PublishError(FinalError):
    """The lake cannot be published as it is, or the build from it has errors."""


class PublicationError(FinalError):
    """The place for publications cannot be written, or read."""


class DamagedLatestError(PublicationError):
    """latest.json does not name a version. The next publication replaces it."""


@dataclass(frozen=True)
class Latest:
    """The content of latest.json. The version becomes part of a path, so that nothing else may be in it."""

    version: Annotated[str, Field(pattern=VERSION)]
    snapshot_date: date
    # Each with the reason. Older versions of the audit do not write it: what they published has all.
    missing_exports: dict[str, str] = field(default_factory=dict)

    def missing_at(self, now: datetime) -> dict[str, str]:
        """The missing exports at a time (UTC), each with the reason."""
        is_over = self.version < f"{now - ALL_ATTEMPTS:{TIME_FORMAT}}"
        return {name: ENDED if is_over and why == NOT_YET else why for name, why in self.missing_exports.items()}

    def without_database(self, address: str) -> PublicationError:
        """The error that its database is gone; `address`: where the version was named."""
        return PublicationError(f"{address} names {self.version}, whose {DATABASE} is gone. {PUBLISH_AGAIN}")


_LATEST = TypeAdapter(Latest)


class PublishedFiles(Protocol):
    """Where the files of publications are: a store."""

    def sizes(self, published: Published) -> dict[str, int]:
        """The size of each file of a publication, in bytes, by its name. Raises PublicationError."""

    def fetch(self, published: Published, name: str, target: Path) -> None:
        """Copy a file of a publication, which has it. Raises PublicationError."""


@dataclass(frozen=True)
class Published:
    """A publication: its version (unique, sorted by time), its snapshot, and the local folder of its database.

    In a folder, all other files are there as well; on S3 they stay there, and the local folder is a cache.
    `missing_exports`: the formats (exports.py) without files so far, each with the reason. `files`: the store that has
    it.
    """

    version: str
    snapshot_date: date
    folder: Path
    missing_exports: Mapping[str, str] = field(default_factory=dict, hash=False)
    files: PublishedFiles | None = field(default=None, compare=False, repr=False)

    @property
    def database(self) -> Path:
        """The DuckDB file. No other publication ever has this path."""
        return self.folder / DATABASE

    def as_latest(self) -> str:
        """The content of latest.json that names this publication."""
        return json.dumps(
            {
                "version": self.version,
                "snapshot_date": self.snapshot_date.isoformat(),
                "missing_exports": dict(self.missing_exports),
            }
        )


def version_of(published_at: datetime, commit_id: str) -> str:
    """The version of a publication, from its time (UTC) and its compliance commit."""
    return f"{published_at:{TIME_FORMAT}}-{commit_id}"


def parse_latest(content: bytes, address: str) -> Latest:
    """The version in latest.json. `address` is where it was read. Raises DamagedLatestError without a valid version."""
    try:
        return parse_json(content, _LATEST)
    except ValueError as fault:
        raise DamagedLatestError(f"{address} does not name a version ({fault}). {PUBLISH_AGAIN}") from fault


def previous_version(latest: Callable[[], Latest | None], version: str) -> str:
    """The version that is the newest until now; without one that can be read, the given one, which is next."""
    try:
        previous = latest()
    except DamagedLatestError as fault:
        log.warning("%s", fault)
        return version
    return previous.version if previous else version
