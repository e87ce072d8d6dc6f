"""The log files of an organization's trail: which ones to read for a registry and a time, and reading them.

CloudTrail delivers a log file for each account and region about every five minutes, under

    <prefix>/AWSLogs/[<organization id>/]<account>/CloudTrail/<region>/<yyyy>/<mm>/<dd>/
        <account>_CloudTrail_<region>_<yyyymmdd>T<hhmm>Z_<16 characters>.json.gz

with the organization's id for its trail, and without for that of an account. Date and time are those of the delivery,
which follows the events; the order of names is that of delivery (AWS CloudTrail User Guide, "Getting and viewing your
CloudTrail log files" and "CloudTrail log file examples").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.permissions import Option, Permission, Role
from ecr_audit.image_tags.trail_records import Wanted, read_event, read_records
from ecr_audit.lake.s3 import S3, S3Error, open_place

_WITHOUT = "moves lack their actor"

PERMISSIONS = (
    Permission(
        (Role.HUB,),
        "s3:ListBucket",
        "to list the trail's log files",
        ("arn:{partition}:s3:::{trail_bucket}",),
        Option.TRAIL,
        without=_WITHOUT,
    ),
    Permission(
        (Role.HUB,),
        "s3:GetObject",
        "the trail's log files of accounts, regions and days in which a tag was overwritten",
        ("arn:{partition}:s3:::{trail}/AWSLogs/*",),
        Option.TRAIL,
        without=_WITHOUT,
    ),
    Permission(
        (Role.HUB,),
        "kms:Decrypt",
        "to read log files encrypted with the key",
        ("{trail_key}",),
        Option.TRAIL_KEY,
        without=_WITHOUT,
    ),
)

# Events are looked for in what was delivered up to this long after their time. CloudTrail delivers within an average of
# about 5 minutes, without a guarantee ("Getting and viewing your CloudTrail log files").
DELAY = timedelta(hours=1)

# The most that a night reads, compressed.
MOST_FILES = 50_000
MOST_BYTES = 4 << 30

# Log files that are read at once: each holds a piece and a record in memory.
_AT_ONCE = 8
# Files that fail one after the other, before the rest is left out: a role that lacks a permission costs some calls.
_FAILURES = 16

_NAME = re.compile(r"\d{12}_CloudTrail_[a-z0-9-]+_(\d{8}T\d{4})Z_\w+\.json\.gz")
_STAMP = "%Y%m%dT%H%M"

# Account id and region.
Registry = tuple[str, str]
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class LogFile:
    """A log file of a registry: its name below the trail, and its size in bytes, compressed."""

    registry: Registry
    name: str
    size: int


@dataclass(frozen=True)
class TrailFault:
    """Why a log file, or the listing of a registry's, could not be read."""

    name: str
    error_code: str
    error_message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.error_code}: {self.error_message}"


@dataclass
class RegistryRead:
    """The results of reading a registry's log files."""

    files: int = 0
    size: int = 0
    # Those that could not be read, and the first reason.
    failed: int = 0
    fault: TrailFault | None = None
    # Those that a limit of the night left out.
    left_out: int = 0

    def fail(self, fault: TrailFault) -> None:
        """Count a file, or a listing, that could not be read."""
        self.failed += 1
        self.fault = self.fault or fault


@dataclass
class TrailRead:
    """The results of reading a trail."""

    events: list[dict[str, Any]] = field(default_factory=list)
    registries: dict[Registry, RegistryRead] = field(default_factory=dict)


def read_trail(
    url: str,
    organization_id: str,
    intervals: Mapping[Registry, Sequence[Interval]],
    wanted: Wanted,
    is_time_up: Callable[[], bool],
) -> TrailRead:
    """The wanted events of some registries, in what was delivered from the beginning of an interval of the registry to
    an hour after its end.

    Registries come first as they are given, as far as the limits and the time reach. Never raises for what S3 returns:
    the result has what could not be read, with the reason.
    """
    trail = _open(url)
    result = TrailRead(registries={registry: RegistryRead() for registry in intervals})
    try:
        base = _base(trail, organization_id)
    except S3Error as error:
        for read in result.registries.values():
            read.fail(_fault("AWSLogs/", error))
        return result

    def listed(registry: Registry) -> list[LogFile] | TrailFault:
        try:
            deliveries = _deliveries(intervals[registry])
            return [file for delivery in deliveries for file in _log_files(trail, base, registry, delivery)]
        except S3Error as error:
            return _fault(f"{base}{registry[0]}/CloudTrail/{registry[1]}/", error)

    def events(file: LogFile) -> list[dict[str, Any]] | TrailFault | None:
        try:
            return _events(trail, file, wanted, is_time_up)
        except (S3Error, OSError, ValueError) as error:
            return _fault(file.name, error)

    files: list[LogFile] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for registry, found in zip(intervals, pool.map(listed, intervals), strict=True):
            if isinstance(found, TrailFault):
                result.registries[registry].fail(found)
            else:
                files += found
        chosen = files[: _within_limits(files)]
        answers = pool.map(events, chosen)
        failures, answer = 0, None
        for number, file in enumerate(files):
            read = result.registries[file.registry]
            if number >= len(chosen):
                answer = None
            elif failures < _FAILURES:
                answer = next(answers)
            if answer is None:
                read.left_out += 1
            elif isinstance(answer, TrailFault):
                read.fail(answer)
                failures += 1
            else:
                result.events += answer
                read.files += 1
                read.size += file.size
                failures = 0
        pool.shutdown(cancel_futures=True)
    return result


def read_newest(url: str, organization_id: str, registry: Registry, now: datetime) -> tuple[str, int] | None:
    """The newest log file that was delivered for a registry in a day: its name, and how many records it has.

    None when there is none. Raises S3Error, and OSError or ValueError for its content.
    """
    trail = _open(url)
    files = list(_log_files(trail, _base(trail, organization_id), registry, (now - timedelta(days=1), now)))
    if not files:
        return None
    with trail.stream(files[-1].name) as compressed:
        return files[-1].name, sum(1 for _ in read_records(compressed))


def _open(url: str) -> S3:
    trail = open_place(url)
    assert isinstance(trail, S3)  # noqa: S101 - the setting has no folder
    return trail


def _base(trail: S3, organization_id: str) -> str:
    """The folder with the accounts' folders. Raises S3Error."""
    of_organization = f"AWSLogs/{organization_id}/"
    return of_organization if organization_id and trail.has_any(of_organization) else "AWSLogs/"


def _log_files(trail: S3, base: str, registry: Registry, interval: Interval) -> Iterator[LogFile]:
    """The log files that were delivered in an interval. Raises S3Error."""
    account_id, region = registry
    begin, end = (f"{moment:{_STAMP}}" for moment in interval)
    for days in range((interval[1].date() - interval[0].date()).days + 1):
        folder = f"{base}{account_id}/CloudTrail/{region}/{interval[0] + timedelta(days):%Y/%m/%d}/"
        for name, size in trail.sizes(folder, f"{folder}{account_id}_CloudTrail_{region}_{begin}"):
            delivered = _NAME.fullmatch(name.removeprefix(folder))
            if delivered and delivered[1] > end:
                break
            if delivered:
                yield LogFile(registry, name, size)


def _deliveries(intervals: Sequence[Interval]) -> list[Interval]:
    """When the events of some intervals were delivered: intervals that do not overlap, oldest first."""
    merged: list[Interval] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end + DELAY))
        else:
            merged.append((begin, end + DELAY))
    return merged


def _within_limits(files: Sequence[LogFile]) -> int:
    """How many of the files, from the first on, a night may read."""
    size = 0
    for number, file in enumerate(files[:MOST_FILES]):
        size += file.size
        if size > MOST_BYTES:
            return number
    return min(len(files), MOST_FILES)


def _events(trail: S3, file: LogFile, wanted: Wanted, is_time_up: Callable[[], bool]) -> list[dict[str, Any]] | None:
    """The wanted events of a log file; None when the time is up. Raises S3Error, and ValueError for its content."""
    if is_time_up():
        return None
    found: list[dict[str, Any]] = []
    with trail.stream(file.name) as compressed:
        for record in read_records(compressed):
            found += read_event(record, wanted)
            if is_time_up():
                return None
    return found


def _fault(name: str, error: Exception) -> TrailFault:
    """boto3's error, where S3 returned one, has its code."""
    if isinstance(error, ValueError):
        return TrailFault(name, "UnreadableLogFile", error_message(error))
    cause = error.__cause__ if isinstance(error, S3Error) and isinstance(error.__cause__, Exception) else error
    return TrailFault(name, error_code(cause), error_message(cause))
