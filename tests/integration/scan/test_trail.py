"""Who overwrote a tag, by CloudTrail's log files on an S3 over HTTP, between nights of a lake made by hand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.responses import S3Response

from demo.emulated_aws.trail import (
    Caller,
    Place,
    delete_image,
    log_file,
    log_file_key,
    put_image,
    put_mutability,
    record,
)
from ecr_audit.aws.access import use_access
from ecr_audit.image_tags import steps, trail
from ecr_audit.image_tags.actors import commit_actors
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.s3 import S3
from ecr_audit.lake.schemas import TAG_ACTORS
from ecr_audit.lake.snapshot import fetch_tag_actors, fetch_tag_moves
from ecr_audit.publish.tables import TABLES
from ecr_audit.warehouse.statements import parse_statement
from support.lakes import committed
from support.small_lake import SmallLake

SHOP, REGION, ORGANIZATION = "111111111111", "eu-west-1", "o-a1b2c3d4e5"
FIRST, SECOND = date(2026, 11, 1), date(2026, 11, 2)
APP, SEALED = Place(SHOP, REGION, "app"), Place(SHOP, REGION, "sealed")
OLD, NEW, OTHER = (f"sha256:{letter * 64}" for letter in "abc")
JANE = Caller("AWSReservedSSO_Admin_1a2b", "jane.doe@example.com", "203.0.113.9", "aws-cli/2.31 (jane%40example.com)")


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 1) -> datetime:
    """Nights read tags at four."""
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


class Logs:
    """The bucket of a trail."""

    def __init__(self, bucket: str) -> None:
        self.bucket, self.url = bucket, f"s3://{bucket}/audit"
        self.s3 = boto3.client("s3")

    def deliver(self, *records: Any, delivered: datetime, content: bytes | None = None, organization: str = "") -> str:
        """Put a log file, and return its key."""
        key = f"audit/{log_file_key(SHOP, REGION, delivered, organization)}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=log_file(records) if content is None else content)
        return key


@pytest.fixture
def logs(bucket: str) -> Logs:
    return Logs(bucket)


@pytest.fixture
def moved(small_lake: SmallLake) -> SmallLake:
    """Two nights, between which a tag of `app` and one of the immutable `sealed` moved."""
    repositories = [{"repository_name": "app"}, {"repository_name": "sealed", "image_tag_mutability": "IMMUTABLE"}]
    for day, digest in ((FIRST, OLD), (SECOND, NEW)):
        small_lake.scan(day, repositories=repositories, details={"organization_id": ORGANIZATION})
        small_lake.read_tags(
            day,
            [
                {"repository_name": "app", "tags": {"latest": digest, "1.0.0": OLD}},
                {"repository_name": "sealed", "tags": {"1.0.0": digest}},
            ],
        )
    return small_lake


def find(lake: SmallLake, logs: Logs, seconds: float = 60) -> Commit | None:
    return commit_actors(lake.lake, SECOND, logs.url, ORGANIZATION, seconds)


def rows(lake: SmallLake) -> dict[str, dict[str, Any]]:
    found = lake.lake.read_table(committed(lake.lake, "trail", SECOND), TAG_ACTORS).to_pylist()
    return {row["repository_arn"].rpartition("/")[2]: row for row in found}


def test_each_overwrite_has_the_last_push_of_its_digest(moved: SmallLake, logs: Logs) -> None:
    other = Place(SHOP, "us-east-1", "app")
    logs.deliver(
        put_image(APP, at(3, 59, 59), "latest", NEW, Caller(session="before-the-interval")),
        put_image(APP, at(10), "latest", NEW, Caller(session="earlier")),
        record(APP, at(10, 30), "DescribeRepositories", {}, None),
        delivered=at(10, 5),
    )
    logs.deliver(
        put_image(APP, at(12), "latest", NEW, JANE),
        put_image(APP, at(13), "latest", OLD, Caller(session="another-digest")),
        put_image(APP, at(14), "1.0.0", NEW, Caller(session="another-tag")),
        put_image(other, at(15), "latest", NEW, Caller(session="another-region")),
        put_image(APP, at(15), "latest", NEW) | {"errorCode": "ImageTagAlreadyExistsException"},
        put_image(APP, at(15), "latest", NEW) | {"eventSource": "ecr-public.amazonaws.com"},
        # A push into another account's registry, in the log of the caller's account.
        put_image(APP, at(15), "latest", NEW)
        | {"requestParameters": {"registryId": "222222222222", "repositoryName": "app", "imageTag": "latest"}},
        delivered=at(15, 5),
    )
    # Delivered the next day, within the hour; after it, and before the interval: not read.
    logs.deliver(put_mutability(SEALED, at(3, 59, day=2), "IMMUTABLE", caller=JANE), delivered=at(4, 12, day=2))
    logs.deliver(content=b"not read", delivered=at(5, 1, day=2))
    logs.deliver(content=b"not read", delivered=at(3, 55))
    logs.deliver(
        put_mutability(SEALED, at(3), "MUTABLE", caller=Caller(session="before-the-interval")),
        put_mutability(SEALED, at(20), "MUTABLE_WITH_EXCLUSION", ["2.*"], Caller(session="opened")),
        delete_image(SEALED, at(20, 1), "1.0.0", OLD, Caller(session="deleted")),
        put_mutability(SEALED, at(20, 2), "IMMUTABLE_WITH_EXCLUSION", ["2.*"], Caller(session="of-no-effect")),
        put_mutability(SEALED, at(20, 2, 30), "immutable_with_exclusion", ["1.*"], Caller(session="opened-again")),
        put_image(SEALED, at(20, 3), "1.0.0", NEW, Caller(session="pushed")),
        delivered=at(20, 5),
    )
    commit = find(moved, logs)
    assert commit is not None
    assert (commit.details["files"], commit.details["files_failed"], commit.details["faults"]) == (4, 0, [])
    found = rows(moved)
    app = found["app"]
    assert app["actor"] == f"arn:aws:sts::{SHOP}:assumed-role/AWSReservedSSO_Admin_1a2b/(e-mail address)"
    assert (app["moved_at"], app["source_address"]) == (at(12), "203.0.113.9")
    assert app["user_agent"] == "aws-cli/2.31 ((e-mail address))"
    assert app["event_id"] == put_image(APP, at(12), "latest", NEW)["eventID"]
    assert (app["trail_outcome"], app["trail_message"]) == ("FOUND", "4 log files read")
    assert {app[name] for name in ("deleted_by", "opened_by", "closed_by")} == {None}
    assert not re.search("jane|@|%40", str(found))
    sealed = found["sealed"]
    by = {name: str(sealed[name]).rpartition("/")[2] for name in ("actor", "deleted_by", "opened_by", "closed_by")}
    assert by == {
        "actor": "pushed",
        "deleted_by": "deleted",
        "opened_by": "opened-again",
        "closed_by": "(e-mail address)",
    }
    assert (sealed["deleted_at"], sealed["closed_at"]) == (at(20, 1), at(3, 59, day=2))
    # All is known: nothing is read again.
    assert find(moved, logs) is None


def test_a_night_whose_tags_are_read_again_keeps_no_actor_of_other_moves(
    moved: SmallLake, logs: Logs, tmp_path: Path
) -> None:
    """As published."""

    def actors() -> list[tuple[Any, ...]]:
        with moved.opened(SECOND) as warehouse:
            for fetch in (fetch_tag_moves, fetch_tag_actors):
                warehouse.register_input(fetch(moved.lake, FIRST, SECOND, tmp_path))
            found = warehouse.query(parse_statement("tag_moves", TABLES["tag_moves"])).to_pylist()
        names = ("snapshot_date", "repository_name", "tag", "actor", "trail_outcome")
        return sorted(tuple(row[name] for name in names) for row in found)

    app, sealed = (SECOND, "app", "latest"), (SECOND, "sealed", "1.0.0")
    # Without a trail.
    assert actors() == [(*app, None, None), (*sealed, None, None)]
    logs.deliver(put_image(APP, at(12), "latest", NEW), delivered=at(12, 5))
    find(moved, logs)
    assert actors() == [(*app, f"arn:aws:sts::{SHOP}:assumed-role/ci/build-1", "FOUND"), (*sealed, None, "NOT_FOUND")]
    moved.read_tags(SECOND, [{"repository_name": "app", "tags": {"latest": OTHER, "1.0.0": OLD}}])
    assert actors() == [(*app, None, None)]
    find(moved, logs)
    assert rows(moved).keys() == {"app"}
    assert actors() == [(*app, None, "NOT_FOUND")]


def test_a_log_file_that_cannot_be_read_costs_its_actor_alone_and_is_read_again(
    moved: SmallLake, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Truncated, or gone since it was listed."""
    good = [put_image(APP, at(12), "latest", NEW)]
    key = logs.deliver(content=log_file(good)[:-20], delivered=at(12, 5))
    ghost = key.replace("T1205Z", "T1206Z").removeprefix("audit/")

    def sizes(self: S3, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        yield from listed(self, prefix, after)
        if ghost.startswith(prefix):
            yield ghost, 1

    listed = S3.sizes
    monkeypatch.setattr(S3, "sizes", sizes)
    commit = find(moved, logs)
    assert commit is not None
    [fault] = commit.details["faults"]
    assert fault == {"account_id": SHOP, "region": REGION, "files": 2, "fault": fault["fault"]}
    assert "UnreadableLogFile: not a gzip file, or truncated" in fault["fault"]
    app = rows(moved)["app"]
    assert (app["actor"], app["trail_outcome"]) == (None, "NOT_READ")
    assert app["trail_message"] == f"0 log files read, 2 not: {fault['fault']}"
    # The first is there again.
    logs.deliver(*good, delivered=at(12, 5))
    commit = find(moved, logs)
    assert commit is not None
    assert "NoSuchKey" in commit.details["faults"][0]["fault"]
    assert {name: row["trail_outcome"] for name, row in rows(moved).items()} == {"app": "FOUND", "sealed": "NOT_READ"}
    # Found stays found.
    monkeypatch.setattr(S3, "sizes", listed)
    assert find(moved, logs) is not None
    assert {name: row["trail_outcome"] for name, row in rows(moved).items()} == {"app": "FOUND", "sealed": "NOT_FOUND"}


@pytest.mark.parametrize("denied", ["ListObjectsV2", "GetObject"])
def test_a_denied_trail_costs_some_calls_and_no_move(
    moved: SmallLake, logs: Logs, monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    for minute in range(40):
        logs.deliver(put_image(APP, at(12), "latest", NEW), delivered=at(12, minute))
    calls = Counter[str]()

    def refuse(self: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        action = "GetObject" if key_name else "ListObjectsV2"
        calls[action] += 1
        if action == denied:
            raise S3AccessDeniedError

    with monkeypatch.context() as refusing:
        refusing.setattr(S3Response, "_authenticate_and_authorize_s3_action", refuse)
        commit = find(moved, logs)
    assert commit is not None
    assert "AccessDenied: Access Denied" in commit.details["faults"][0]["fault"]
    assert {row["trail_outcome"] for row in rows(moved).values()} == {"NOT_READ"}
    assert calls["ListObjectsV2"] == (1 if denied == "ListObjectsV2" else 3)
    assert calls["GetObject"] < 40


def test_the_step_reads_the_night_and_the_gaps_of_the_one_before(
    moved: SmallLake, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(day: date) -> dict[str, str]:
        rows = moved.lake.read_table(committed(moved.lake, "trail", day), TAG_ACTORS).to_pylist()
        return {row["repository_arn"].rpartition("/")[2]: row["trail_outcome"] for row in rows}

    monkeypatch.setenv("ECR_AUDIT_LAKE", moved.lake.root)
    assert steps.read_trail(str(SECOND)) is None
    monkeypatch.setenv("ECR_AUDIT_CLOUDTRAIL", logs.url)
    logs.deliver(content=b"", delivered=at(12, 5))
    sentence = steps.read_trail(str(SECOND))
    assert sentence == (
        "Trail of 2026-11-02: 0 log files read; of 2 overwritten tags the actor of 0 is known."
        " Not read: 1 that failed, 0 beyond the night's limit."
    )
    # The next night reads it again, beside its own.
    logs.deliver(put_image(APP, at(12), "latest", NEW), delivered=at(12, 5))
    logs.deliver(put_image(APP, at(12, day=2), "latest", OTHER), delivered=at(12, 5, day=2))
    third = SECOND + timedelta(days=1)
    moved.scan(third, repositories=[{"repository_name": "app"}], details={"organization_id": ORGANIZATION})
    moved.read_tags(third, [{"repository_name": "app", "tags": {"latest": OTHER, "1.0.0": OLD}}])
    sentence = steps.read_trail(str(third))
    assert sentence == (
        "Trail of 2026-11-03: 1 log file read; of 1 overwritten tag the actor of 1 is known."
        " Trail of 2026-11-02: 1 log file read; of 2 overwritten tags the actor of 1 is known."
    )
    assert (found(SECOND), found(third)) == ({"app": "FOUND", "sealed": "NOT_FOUND"}, {"app": "FOUND"})
    assert steps.read_trail(str(third)) == "No tag was overwritten whose actor is not known."


def test_log_files_beyond_a_limit_are_reported(moved: SmallLake, logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.deliver(put_image(APP, at(12), "latest", NEW), delivered=at(12, 5))
    key = logs.deliver(put_image(SEALED, at(13), "1.0.0", NEW), delivered=at(13, 5))
    size = logs.s3.head_object(Bucket=logs.bucket, Key=key)["ContentLength"]
    for limit, most in (("MOST_FILES", 1), ("MOST_BYTES", size + 1)):
        with monkeypatch.context() as limited:
            limited.setattr(trail, limit, most)
            commit = find(moved, logs)
        assert commit is not None
        assert (commit.details["files"], commit.details["files_left_out"]) == (1, 1)
        sealed = rows(moved)["sealed"]
        assert (sealed["trail_outcome"], sealed["trail_message"]) == (
            "LEFT_OUT",
            "1 log file read; 1 left out by the night's limit",
        )
    # No time at all.
    commit = find(moved, logs, seconds=0)
    assert commit is not None
    assert commit.details["files_left_out"] == 2
    assert find(moved, logs) is not None
    assert {row["trail_outcome"] for row in rows(moved).values()} == {"FOUND"}


def test_pushes_that_may_be_delivered_later_are_looked_for_again(small_lake: SmallLake, logs: Logs) -> None:
    """The reads are of just now; and the layout is that of an organization."""
    now = datetime.now(UTC)
    for day, digest, read_at in ((FIRST, OLD, now - timedelta(hours=3)), (SECOND, NEW, now - timedelta(minutes=5))):
        small_lake.scan(day, repositories=[{}], details={"organization_id": ORGANIZATION})
        small_lake.read_tags(day, [{"tags": {"latest": digest}}], read_at=read_at)
    logs.deliver(put_image(APP, now, "latest", NEW), delivered=now - timedelta(minutes=70))
    assert find(small_lake, logs) is not None
    assert rows(small_lake)["app"]["trail_outcome"] == "PENDING"
    # Beside an older trail of the account alone.
    pushed_at = now - timedelta(minutes=6)
    logs.deliver(put_image(APP, pushed_at, "latest", NEW), delivered=now, organization=ORGANIZATION)
    assert find(small_lake, logs) is not None
    found = rows(small_lake)["app"]
    assert (found["trail_outcome"], found["moved_at"]) == ("FOUND", pushed_at.replace(microsecond=0))


def test_a_region_that_cannot_be_reached_is_reported(moved: SmallLake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    use_access(None)
    commit = commit_actors(moved.lake, SECOND, "s3://no-such-place", "", 60)
    assert commit is not None
    assert {row["trail_outcome"] for row in rows(moved).values()} == {"NOT_READ"}
