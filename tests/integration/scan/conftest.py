"""The whole scan against an emulated AWS, and the world's own record of what it should have seen."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from demo.emulated_aws.faults import Fault, Faults
from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.emulated_aws.server import EmulatedAws
from demo.emulated_aws.world import Account, OrganizationalUnit, Region, Repository, World, stored
from ecr_audit.aws import dispatcher, organizations_reader
from ecr_audit.aws.access import use_access
from ecr_audit.aws.session import Hub, connect_hub
from ecr_audit.image_tags.history import commit_tags
from ecr_audit.image_tags.plan import make_plan
from ecr_audit.image_tags.read import read_batch
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.inventory.plan import ScanScope, cut_batches, discover
from ecr_audit.inventory.scan import BatchSummary, scan_batch
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.tables import LakeTable
from ecr_audit.settings import Settings
from support.lakes import committed

DAY = date(2026, 3, 1)
HUB, OPT_IN = "100000000000", "me-south-1"
SUFFIX = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}

Target = tuple[str, str]
MakeWorld = Callable[..., World]


class Audit:
    """The steps of a night, on one lake and one emulated AWS."""

    def __init__(self, aws: EmulatedAws, lake: Lake, settings: Mapping[str, Any]) -> None:
        self.aws = aws
        self.lake = lake
        self.settings = Settings(**{"concurrency": 8, **settings})

    def plan(self, day: date = DAY, scope: ScanScope | None = None) -> tuple[str, list[int]]:
        hub, scope = connect_hub(), scope or ScanScope()
        plan = discover(self.lake, hub, snapshot_date=day, run_id="test", scope=scope)
        return plan.plan_id, cut_batches(self.lake, hub, plan.plan_id, self.settings, scope)

    def scan(self, plan_id: str, batch: int) -> BatchSummary:
        return scan_batch(self.lake, connect_hub(), plan_id, batch, self.settings)

    def run(self, day: date = DAY, scope: ScanScope | None = None) -> Commit:
        plan_id, batches = self.plan(day, scope)
        for batch in batches:
            self.scan(plan_id, batch)
        return commit_snapshot(self.lake, plan_id)

    def read_image_tags(self, day: date = DAY, *, lost: bool = False) -> Commit:
        """Read the image tags of a night that was scanned, and commit them. `lost`: the batches are killed."""
        plan = make_plan(self.lake, day, self.settings)
        for batch in () if lost else plan.batches:
            read_batch(self.lake, connect_hub(), plan, batch, self.settings, "test")
        return commit_tags(self.lake, day, self.settings.retention_days)

    def rows(self, table: LakeTable, day: date = DAY) -> list[dict[str, Any]]:
        commit = committed(self.lake, "inventory", day)
        return list(self.lake.read_table(commit, table).to_pylist())

    def scan_targets(self, day: date = DAY) -> dict[Target, dict[str, Any]]:
        return {(row["account_id"], row["region"]): row for row in self.rows(SCAN_TARGETS, day)}

    def assert_true(self, day: date = DAY, *, outcomes: Mapping[Target, str] | None = None, tags: bool = True) -> None:
        """Check the snapshot, outcome by outcome and repository by repository, against the world as it is now.

        `outcomes`: targets that end otherwise than undisturbed. `tags`: False, they could not be read.
        """
        world = self.aws.world
        expected = {target: world.outcome(*target) for target in world.targets()} | dict(outcomes or {})
        rows = self.rows(SCAN_TARGETS, day)
        assert {(row["account_id"], row["region"]): row["outcome"] for row in rows} == expected
        assert len(rows) == len(expected)
        collected = [target for target, outcome in expected.items() if outcome == "COLLECTED"]
        counts = {(row["account_id"], row["region"]): row["repository_count"] for row in rows}
        assert counts == {
            target: len(world.repositories(*target)) if target in collected else None for target in expected
        }
        found = {row["repository_arn"]: row for row in self.rows(REPOSITORIES, day) if row["observed"]}
        truth = [
            _row(world, target, repository, tags) for target in collected for repository in world.repositories(*target)
        ]
        assert len(found) == len(truth)
        for row in truth:
            seen = found[row["repository_arn"]]
            assert {column: seen[column] for column in row} == row

    def assert_accounts_true(self, day: date = DAY) -> None:
        """Check the table of accounts against the world."""
        world = self.aws.world
        found = self.rows(ACCOUNTS, day)
        assert all(row.pop("collected_at") == row.pop("details_read_at") is not None for row in found)
        assert found == [
            {
                "account_id": account.id,
                "account_name": account.name,
                "state": account.state,
                "ou_id": account.parent_id,
                "ou_path": world.ou_path(account.id),
                "unit_ids": world.unit_ids(account.id),
                "joined_at": datetime.fromtimestamp(account.joined_at, UTC),
            }
            for account in sorted(world.accounts.values(), key=lambda each: each.id)
        ]


MakeAudit = Callable[..., Audit]
MakeHub = Callable[..., Hub]


def _row(world: World, target: Target, repository: Repository, tags: bool) -> dict[str, Any]:
    """The row that a repository must have in the lake; all but `collected_at` and `tags_read_at`."""
    account_id, region = target
    return {
        "account_id": account_id,
        "region": region,
        "repository_name": repository.name,
        "repository_arn": f"arn:{world.partition}:ecr:{region}:{account_id}:repository/{repository.name}",
        "repository_uri": f"{account_id}.dkr.ecr.{region}.{SUFFIX[world.partition]}/{repository.name}",
        "created_at": datetime.fromtimestamp(repository.created_at, UTC),
        "image_tag_mutability": repository.image_tag_mutability,
        "image_tag_mutability_exclusion_filters": [
            {"filter_type": "WILDCARD", "filter": pattern} for pattern in repository.exclusion_filters
        ],
        "scan_on_push": repository.scan_on_push,
        "encryption_type": repository.encryption_type,
        "kms_key": repository.kms_key,
        "tags": list((repository.tags or {}).items()) if tags else None,
        "observed": True,
    }


@pytest.fixture
def organization_of() -> MakeWorld:
    """Makes an organization with a number of members beside the hub, in two default regions and an opt-in one.

    Every third member has enabled the opt-in region; two of three targets hold a few repositories. `changed`: fields of
    accounts, by account id.
    """

    def make(
        members: int = 12,
        regions: Sequence[Region] | None = None,
        changed: Mapping[str, Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> World:
        regions = regions or (Region("eu-west-1"), Region("us-east-1"), Region(OPT_IN, opt_in=True))
        units = [OrganizationalUnit("ou-demo-00000001", "Prod", "r-demo")]
        units.append(OrganizationalUnit("ou-demo-00000002", "Shop", "ou-demo-00000001"))
        accounts = {HUB: Account(HUB, "hub", "r-demo")}
        for number in range(1, members + 1):
            account_id = str(int(HUB) + number)
            enabled = frozenset({OPT_IN} if number % 3 == 0 else ())
            accounts[account_id] = Account(
                account_id, f"account-{number}", units[number % 2].id, enabled_opt_in_regions=enabled
            )
        for account_id, changes in (changed or {}).items():
            accounts[account_id] = replace(accounts[account_id], **changes)
        repositories = {
            (account_id, region.name): _some_repositories(f"{account_id}/{region.name}")
            for account_id in accounts
            for region in regions
        }
        return World(
            accounts=accounts,
            regions=regions,
            hub_account_id=HUB,
            management_account_id=HUB,
            units={unit.id: unit for unit in units},
            repository_source=stored(repositories),
            **options,
        )

    return make


def _some_repositories(seed: str) -> list[Repository]:
    dice = random.Random(seed)
    mutabilities = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")
    found = []
    for number in range(dice.choice((0, 2, 5))):
        mutability = dice.choice(mutabilities)
        found.append(
            Repository(
                f"team/service-{number}",
                created_at=float(dice.randrange(1_600_000_000, 1_700_000_000)) + dice.choice((0, 0.5)),
                image_tag_mutability=mutability,
                exclusion_filters=("latest", "dev-*") if mutability.endswith("_WITH_EXCLUSION") else (),
                scan_on_push=dice.random() < 0.5,
                tags=dice.choice((None, {}, {"owner": "team"}, {"owner": "team", "stage": "prod"})),
            )
        )
    return found


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated AWS has no limit of eight calls a second and is over a fault at once."""
    monkeypatch.setattr(organizations_reader, "CALLS_PER_SECOND", 10_000)
    monkeypatch.setattr(dispatcher, "FIRST_WAIT_SECONDS", 0.005)
    monkeypatch.setattr(dispatcher, "LONGEST_WAIT_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The hub's keys and nothing else: no settings, no profile, no metadata service."""
    for name in list(os.environ):
        if name.startswith(("ECR_AUDIT_", "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", HUB_ACCESS_KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", HUB_SECRET_ACCESS_KEY)


@pytest.fixture
def audit_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeAudit]:
    """Starts the AWS of a world, with faults, and gives the audit of it. Keywords are settings."""
    running: list[EmulatedAws] = []

    def start(world: World, *faults: Fault, **settings: Any) -> Audit:
        aws = EmulatedAws(world, Faults(faults))
        aws.start()
        running.append(aws)
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
        use_access(None)  # as in another process, which knows no endpoints of an AWS that was started before
        return Audit(aws, Lake(str(tmp_path / "lake")), settings)

    yield start
    for aws in running:
        aws.stop()


@pytest.fixture
def hub_of(audit_of: MakeAudit) -> MakeHub:
    """Starts the AWS of a world and connects to it."""

    def start(world: World, *faults: Fault) -> Hub:
        audit_of(world, *faults)
        return connect_hub()

    return start
