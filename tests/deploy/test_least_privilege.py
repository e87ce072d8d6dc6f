"""The permissions that are declared are those of the calls that runs of the audit make, and no others.

The emulated AWS records who calls what. A call that is not declared fails here before AWS refuses it; an action that
nothing calls any longer fails here, too. test_permissions.py compares the roles with the declaration.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import boto3
import pytest
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from demo.emulated_aws.faults import Effect, Faults
from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.trail import log_file, log_file_key
from demo.emulated_aws.world import Repository
from demo.organization import EXTERNAL_ID, demo_world
from demo.repository_settings import key_of
from ecr_audit.aws import organizations_reader
from ecr_audit.aws.permissions import NEEDS_NONE, Option, Role
from ecr_audit.aws.session import connect_hub
from ecr_audit.catalog import load_catalog
from ecr_audit.doctor import Status, examine
from ecr_audit.doctor.permissions import actions_of
from ecr_audit.doctor.storage import check_lake, check_published
from ecr_audit.doctor.trail import check_trail
from ecr_audit.evidence.log import EvidenceLog
from ecr_audit.evidence.seal import seal
from ecr_audit.evidence.verification import Keys
from ecr_audit.evidence.verification import verify as verify_evidence
from ecr_audit.image_tags.actors import commit_actors
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.inventory.plan import ScanScope, cut_batches, discover
from ecr_audit.inventory.scan import scan_batch
from ecr_audit.lake.lake import Lake, open_lake
from ecr_audit.publish.build import publish
from ecr_audit.publish.freshness import missed_night
from ecr_audit.publish.store import newest, publication_store
from ecr_audit.remediation.apply import apply_batch
from ecr_audit.remediation.journal import Journal
from ecr_audit.remediation.plan import freeze
from ecr_audit.remediation.verify import verify
from ecr_audit.security_hub.due import Batch
from ecr_audit.security_hub.imports import import_batches
from ecr_audit.security_hub.outcomes import ImportOutcome
from ecr_audit.settings import SQL_ROOT, Settings
from ecr_audit.vocabulary import Facet, ImageTags
from support.asff import smallest_finding
from support.small_lake import SmallLake

# The prefixes of IAM's actions, where they are not the signing name.
PREFIXES = {"tagging": "tag"}

COLLECTED: tuple[Facet, ...] = Settings.model_fields["collect"].default
AUDIT_ROLE, HUB_ROLE = actions_of(Role.AUDIT, ()), actions_of(Role.HUB, ())
ON_S3 = actions_of(Role.HUB, (Option.BUCKET,)) - HUB_ROLE
READER_ROLE = actions_of(Role.READER, (Option.BUCKET,))


class Recorder(Faults):
    """Injects nothing, and notes every call: by whom, the hub or a member, and which action of IAM it takes."""

    def __init__(self, hub_account_id: str) -> None:
        super().__init__()
        self._hub = hub_account_id
        self.hub: set[str] = set()
        self.members: set[str] = set()

    def strike(self, service: str, operation: str, account: str, region: str) -> Iterator[Effect]:
        calls = self.hub if account == self._hub else self.members
        calls.add(f"{PREFIXES.get(service, service)}:{operation}")
        return super().strike(service, operation, account, region)


ENCRYPTED = Repository(
    "app/api", encryption_type="KMS", kms_key=key_of((demo_world(1).hub_account_id, "us-east-1"), "CUSTOMER")
)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[EmulatedAws, Recorder]]:
    """The demo organization, with opt-in regions, and a record of all calls to it."""
    monkeypatch.setattr(organizations_reader, "CALLS_PER_SECOND", 10_000)
    world = demo_world(1)
    recorder = Recorder(world.hub_account_id)
    with EmulatedAws(world, recorder) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", HUB_ACCESS_KEY_ID)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", HUB_SECRET_ACCESS_KEY)
        yield aws, recorder


def scan(lake: Lake, facets: tuple[Facet, ...]) -> None:
    """A night's inventory, as the tasks of the DAG make it; by rotation facets read everything."""
    hub, settings = connect_hub(), Settings(external_id=EXTERNAL_ID, collect=facets, collect_rotation_nights=1)
    plan = discover(lake, hub, snapshot_date=date(2026, 11, 1), run_id="test", scope=ScanScope())
    for batch in cut_batches(lake, hub, plan.plan_id, settings, ScanScope()):
        scan_batch(lake, hub, plan.plan_id, batch, settings)
    assert commit_snapshot(lake, plan.plan_id).rows["repositories"] > 20


@pytest.mark.parametrize("facets", [(), COLLECTED, tuple(Facet)], ids=["none", "default", "all"])
def test_a_night_calls_exactly_the_declared_operations(
    recorded: tuple[EmulatedAws, Recorder], tmp_path: Path, facets: tuple[Facet, ...]
) -> None:
    aws, recorder = recorded
    scan(Lake(str(tmp_path / "lake")), facets)
    assert recorder.members - NEEDS_NONE == actions_of(Role.AUDIT, (), facets)
    # Where Organizations gives no `Paths`, the units are asked for their accounts; and keys of the hub's repositories
    # are described only where it has some.
    aws.world = replace(aws.world, has_paths=False, repository_source=lambda *_: (ENCRYPTED,))
    scan(Lake(str(tmp_path / "other-lake")), facets)
    assert recorder.hub - NEEDS_NONE == actions_of(Role.HUB, (), facets)


def test_the_doctor_asks_for_no_more_than_a_night(
    recorded: tuple[EmulatedAws, Recorder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, recorder = recorded
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_EXTERNAL_ID", EXTERNAL_ID)
    monkeypatch.setenv("ECR_AUDIT_COLLECT", "all")
    assert {result.title for result in examine(connect_hub, lambda: None) if result.status is Status.FAIL} == {
        # Of 26 accounts one cannot be entered, and an SCP closes a region to three; that a role lacks a permission
        # of a facet is a warning.
        "Role in the accounts",
        "Repositories",
    }
    assert recorder.members - NEEDS_NONE == AUDIT_ROLE
    assert recorder.hub - NEEDS_NONE <= HUB_ROLE


def test_a_plan_is_applied_by_exactly_the_operations_of_the_remediation_role(
    recorded: tuple[EmulatedAws, Recorder], tmp_path: Path
) -> None:
    """In the hub's own account, too, it is that role that writes, and not the hub's."""
    aws, recorder = recorded
    settings = Settings(external_id=EXTERNAL_ID, remediation_role_name=aws.world.remediation_role_name)
    lake = Lake(str(tmp_path))
    targets = [(account, "us-east-1") for account in (aws.world.hub_account_id, aws.world.management_account_id)]
    targets += [target for target in aws.world.targets() if aws.world.repositories(*target)][:3]
    rows = [
        {
            **{"account_id": account_id, "region": region, "repository_name": each.name, "policy_id": "mutability"},
            "repository_arn": f"arn:aws:ecr:{region}:{account_id}:repository/{each.name}",
            "created_at": datetime.fromtimestamp(each.created_at, UTC),
            **{"current_setting": "MUTABLE", "proposed_setting": "IMMUTABLE"},
        }
        for account_id, region in sorted(set(targets))
        for each in aws.world.repositories(account_id, region)
        if each.image_tag_mutability == "MUTABLE"
    ]
    plan = freeze(lake, rows, planned_at=datetime.now(UTC), canary_accounts=1, batch_accounts=9)
    journal = Journal(lake, plan.plan_id)
    for batch in plan.batches:
        assert set(apply_batch(journal, connect_hub(), plan, batch, settings, "run", ())) == {"DONE"}
    verify(journal, connect_hub(), plan, settings, "run")
    assert {each.role for each in aws.world.writes} == {settings.remediation_role_name}
    assert recorder.members - NEEDS_NONE == actions_of(Role.REMEDIATION, ())
    assert recorder.hub - NEEDS_NONE - actions_of(Role.REMEDIATION, ()) == {"sts:AssumeRole"}


def test_findings_are_imported_by_exactly_the_operation_of_the_security_hub_role(
    recorded: tuple[EmulatedAws, Recorder],
) -> None:
    """In the hub's own account, too, it is that role that imports, and not the hub's."""
    aws, recorder = recorded
    role = str(aws.world.security_hub_role_name)
    targets = {(aws.world.hub_account_id, "us-east-1")}
    targets |= {*[target for target in aws.world.targets() if aws.world.repositories(*target)][:3]}
    findings = {target: json.dumps([smallest_finding(*target, 1)]) for target in targets}
    batches = [Batch(target, 1, zlib.compress(text.encode())) for target, text in findings.items()]
    results = import_batches(connect_hub(), batches, (), Settings(external_id=EXTERNAL_ID), role, "run")
    assert {result.outcome for result in results.values()} == {ImportOutcome.IMPORTED}
    assert recorder.members - NEEDS_NONE == actions_of(Role.SECURITY_HUB, ())
    assert recorder.hub - NEEDS_NONE - actions_of(Role.SECURITY_HUB, ()) == {"sts:AssumeRole"}


# Operations of S3 that are allowed by the action of another (Amazon S3 User Guide, "Required permissions for Amazon S3
# API operations"), under the names that moto gives them.
S3_ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
}


@pytest.fixture
def s3_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """An S3 over HTTP with the bucket `the-lake`, and the actions of IAM that calls to it take."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="the-lake")
    calls: set[str] = set()

    def note(self: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
        action = self._get_action()
        action = action[0] if isinstance(action, list) else action
        calls.add(f"s3:{S3_ACTIONS.get(action, action)}")

    monkeypatch.setattr(S3Response, "_authenticate_and_authorize_s3_action", note)
    yield calls
    monkeypatch.undo()
    for each in s3.list_objects_v2(Bucket="the-lake").get("Contents", []):
        s3.delete_object(Bucket="the-lake", Key=each["Key"])
    s3.delete_bucket(Bucket="the-lake")
    s3.close()
    server.stop()


@pytest.mark.usefixtures("database_alone")
def test_the_hub_has_exactly_the_permissions_declared_for_a_lake_and_publications_on_s3(
    s3_calls: set[str], small_lake: SmallLake, tmp_path: Path
) -> None:
    """And the probes of the doctor."""
    settings = Settings(data=tmp_path, lake="s3://the-lake/ecr", publish="s3://the-lake/published")
    small_lake.lake = open_lake(settings)
    # A day twice: what is replaced is deleted.
    for _ in range(2):
        small_lake.night(date(2026, 11, 1), repositories=[{}])
        publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=())
    # A write that breaks off aborts its upload; none did.
    assert s3_calls | {"s3:AbortMultipartUpload"} == ON_S3
    s3_calls.clear()
    settings = settings.model_copy(update={"lake": "s3://the-lake/fresh"})
    assert (check_lake(settings, "").status, check_published(settings).status) == (Status.OK, Status.OK)
    assert s3_calls <= ON_S3


def test_the_hub_reads_a_trail_by_exactly_the_permissions_declared_for_it(
    s3_calls: set[str], small_lake: SmallLake
) -> None:
    """And the probe of the doctor."""
    for day, digest in ((1, "sha256:a"), (2, "sha256:b")):
        small_lake.scan(date(2026, 11, day), repositories=[{}])
        small_lake.read_tags(date(2026, 11, day), [{"tags": {"latest": digest}}])
    registry = ("111111111111", "eu-west-1")
    for delivered in (datetime(2026, 11, 1, 12, tzinfo=UTC), datetime.now(UTC)):
        key = log_file_key(*registry, delivered)
        boto3.client("s3").put_object(Bucket="the-lake", Key=key, Body=log_file([]))
    s3_calls.clear()
    commit = commit_actors(small_lake.lake, date(2026, 11, 2), "s3://the-lake", "", 60)
    assert commit and commit.details["files"] == 1
    of_trail = actions_of(Role.HUB, (Option.TRAIL,)) - HUB_ROLE
    assert s3_calls == of_trail
    s3_calls.clear()
    settings = Settings(image_tags=ImageTags.ALL, cloudtrail="s3://the-lake")
    assert check_trail(settings, "", registry).status is Status.OK
    assert s3_calls == of_trail


def test_the_hub_seals_and_verifies_by_exactly_the_permissions_declared_for_the_log(
    s3_calls: set[str], small_lake: SmallLake
) -> None:
    """It can delete nothing of the log."""
    small_lake.catalog = load_catalog(SQL_ROOT)
    small_lake.night(date(2026, 11, 1), repositories=[{}])
    evidence = EvidenceLog("s3://the-lake/evidence")
    assert len(seal(small_lake.lake, evidence, None, SQL_ROOT).added) == 1
    assert not verify_evidence(evidence, Keys([], is_trusted=False)).failed
    assert s3_calls | {"s3:AbortMultipartUpload"} == actions_of(Role.HUB, (Option.EVIDENCE,)) - HUB_ROLE


@pytest.mark.usefixtures("database_alone")
def test_readers_have_exactly_the_permissions_declared_for_pages_and_callbacks(
    s3_calls: set[str], small_lake: SmallLake, tmp_path: Path
) -> None:
    settings = Settings(data=tmp_path / "worker", lake="s3://the-lake/lake", publish="s3://the-lake/publish")
    now = datetime(2026, 11, 3, 12, tzinfo=UTC)
    reader = settings.model_copy(update={"data": tmp_path / "reader"})
    # A callback before anything is published: it looks whether the lake has a snapshot.
    assert missed_night(reader, now) is None
    small_lake.lake = open_lake(settings)
    small_lake.night(date(2026, 11, 1), repositories=[{}])
    publish(small_lake.lake, small_lake.catalog, publication_store(settings), owner_tags=())
    s3_calls.clear()
    assert missed_night(reader, now)
    assert newest(reader).database.exists()
    assert s3_calls <= READER_ROLE
    assert missed_night(reader.model_copy(update={"publish": "s3://the-lake/nowhere"}), now)
    assert s3_calls == READER_ROLE
