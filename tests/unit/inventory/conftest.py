"""An organization without an AWS: the test sets the result of the scan of each target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ecr_audit.aws.access import AwsAccess
from ecr_audit.aws.answers import Unread
from ecr_audit.aws.dispatcher import Effort
from ecr_audit.aws.ecr.facet import FacetRead, Fault
from ecr_audit.aws.ecr.facets import Wanted
from ecr_audit.aws.ecr.registry import registry_arn
from ecr_audit.aws.ecr.repositories import read_repositories
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.organization import Account, ListedAccounts
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.aws.regions import OfferedRegions, Region
from ecr_audit.aws.session import Hub, HubError
from ecr_audit.inventory import plan as planning
from ecr_audit.inventory import regions
from ecr_audit.inventory import scan as scanning
from ecr_audit.inventory.commit import commit_snapshot
from ecr_audit.inventory.plan import ScanScope
from ecr_audit.inventory.plan_files import Plan
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.tables import LakeTable
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import Facet
from support.lakes import committed

HUB = "100000000000"
UNIT_IDS = {"Root": "r-1", "Root/Prod": "ou-prod", "Root/Prod/Shop": "ou-shop", "Root/Dev": "ou-dev"}

Target = tuple[str, str]
MakeScope = Callable[..., ScanScope]


def account(account_id: str, path: str = "Root", state: str = "ACTIVE") -> Account:
    steps = path.split("/")
    ids = tuple(UNIT_IDS["/".join(steps[: n + 1])] for n in range(len(steps)))
    return Account(account_id, f"account {account_id}", state, ids[-1], path, ids, datetime(2020, 1, 1, tzinfo=UTC))


def arn(account_id: str, region: str, name: str) -> str:
    return f"arn:aws:ecr:{region}:{account_id}:repository/{name}"


class FakeOrganization:
    """Set `accounts`, `regions`, `repositories` and `outcomes`, then `run` a night.

    Each account x region is COLLECTED unless `outcomes` says otherwise. `calls`: what each target costs. `tags` and
    `created`: of repositories, by name. Tags of targets in `tags_denied` cannot be read, in `tags_odd` one is odd.
    """

    id = "o-1"

    def __init__(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = lake
        self.accounts: list[Account] = [account(HUB)]
        self.regions = [Region("eu-west-1", False), Region("us-east-1", False)]
        # Why the tree of units cannot be read.
        self.units_error: str | None = None
        # Why EC2 would not name the regions, so that these are botocore's.
        self.doubt: str | None = None
        self.repositories: dict[Target, list[str]] = {}
        self.outcomes: dict[Target, Outcome] = {}
        self.calls: dict[Target, int] = {}
        # Code and message of what is not collected, where the test minds.
        self.errors: dict[Target, tuple[str, str]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.tags_denied: set[Target] = set()
        self.tags_odd: set[Target] = set()
        self.created: dict[str, float | None] = {}
        # By facet and the end of an ARN: what is read of these objects, and of no other.
        self.facets: dict[Facet, dict[str, dict[str, Any]]] = {}
        # By the end of an ARN: the code by which AWS refuses its facets.
        self.denied: dict[str, str] = {}
        session: Any = SimpleNamespace(get_available_regions=lambda *_: [region.name for region in self.regions])
        self.hub = Hub(AwsAccess(session), HUB, "aws", "us-east-1")
        self.scanned: list[Target] = []
        monkeypatch.setattr(planning, "organization_id", lambda _: self.id)
        monkeypatch.setattr(planning, "list_accounts_and_units", lambda _: self._listed())
        monkeypatch.setattr(regions, "list_regions", lambda _: OfferedRegions(tuple(self.regions), self.doubt))
        monkeypatch.setattr(scanning, "scan_targets", self._scan)

    def _listed(self) -> ListedAccounts:
        accounts = sorted(self.accounts, key=lambda each: each.account_id)
        if self.units_error is None:
            return ListedAccounts(accounts)
        without = [replace(each, ou_id=None, ou_path=None, unit_ids=()) for each in accounts]
        return ListedAccounts(without, HubError(self.units_error))

    def add(self, *account_ids: str, path: str = "Root", state: str = "ACTIVE") -> None:
        self.accounts += [account(each, path, state) for each in account_ids]

    def plan(self, day: date, scope: ScanScope | None = None, **settings: Any) -> tuple[Plan, list[int]]:
        scope = scope or ScanScope()
        made = planning.discover(self.lake, self.hub, snapshot_date=day, run_id="run", scope=scope)
        return made, planning.cut_batches(self.lake, self.hub, made.plan_id, Settings(**settings), scope)

    def run(
        self,
        day: date,
        scope: ScanScope | None = None,
        *,
        lost: Iterable[int] = (),
        commit: bool = True,
        **settings: Any,
    ) -> Commit:
        """A whole night; the batches in `lost` leave nothing."""
        made, batches = self.plan(day, scope, **settings)
        for batch in set(batches) - set(lost):
            scanning.scan_batch(self.lake, self.hub, made.plan_id, batch, Settings(**settings))
        return commit_snapshot(self.lake, made.plan_id)

    async def _scan(self, hub: Any, targets: Any, wanted: Wanted, settings: Settings, part: Any, name: str) -> None:
        for row in targets.to_pylist():
            target = (row["account_id"], row["region"])
            self.scanned.append(target)
            outcome = self.outcomes.get(target, Outcome.COLLECTED)
            found = self.repositories.get(target, []) if outcome is Outcome.COLLECTED else []
            code, message = self.errors.get(target, (None if outcome is Outcome.COLLECTED else f"{outcome}Code", None))
            arns = {name: arn(*target, name) for name in found}
            described = [
                {"repositoryName": name, "repositoryArn": arn, "createdAt": self.created.get(name, 1.0)}
                for name, arn in arns.items()
            ]
            repositories = read_repositories(described, *target, Unread())
            scan = TargetScan(*target, outcome, repositories, code, message)
            if found and Facet.TAGS in wanted.facets:
                scan.facets[Facet.TAGS] = self._read_tags(target, arns)
            for facet in (each for each in self.facets if found and each in wanted.facets):
                due = [registry_arn(repositories[0])] if facet is Facet.REGISTRIES else list(arns.values())
                given = self.facets[facet].items()
                values: dict[str, Mapping[str, Any]]
                values = {each: value for each in due for end, value in given if each.endswith(end)}
                refused = {arn: code for arn in due for end, code in self.denied.items() if arn.endswith(end)}
                values = {arn: value for arn, value in values.items() if arn not in refused}
                fault = Fault(*next(iter(refused.items()))[::-1]) if refused else None
                scan.facets[facet] = FacetRead([*values, *refused], values, refused, fault=fault)
            part.add([(scan, Effort(calls=self.calls.get(target, 1)))])

    def _read_tags(self, target: Target, arns: dict[str, str]) -> FacetRead:
        read = FacetRead(list(arns.values()))
        if target in self.tags_denied:
            read.fault = Fault("AccessDeniedException", "not authorized")
            return read
        if target in self.tags_odd:
            read.fault = Fault("UnreadableValue", "one is odd")
        read.values = {arn: {"tags": list(self.tags.get(name, {}).items())} for name, arn in arns.items()}
        return read

    def rows(self, day: date, table: LakeTable) -> list[dict[str, Any]]:
        commit = committed(self.lake, "inventory", day)
        return list(self.lake.read_table(commit, table).to_pylist())

    def tags_of(self, day: date) -> dict[str, tuple[dict[str, str] | None, date | None]]:
        """By repository name: its tags, and the night on which they were read."""
        nights = {
            row["collected_at"]: snapshot
            for snapshot in self.lake.snapshot_dates("inventory")
            for row in self.rows(snapshot, REPOSITORIES)
            if row["observed"]
        }
        return {
            row["repository_name"]: (
                None if row["tags"] is None else dict(row["tags"]),
                None if row["tags_read_at"] is None else nights[row["tags_read_at"]],
            )
            for row in self.rows(day, REPOSITORIES)
        }

    def account_ids(self, day: date) -> list[str]:
        return [row["account_id"] for row in self.rows(day, ACCOUNTS)]

    def outcomes_of(self, day: date) -> dict[Target, str]:
        rows = self.rows(day, SCAN_TARGETS)
        found = {(row["account_id"], row["region"]): row["outcome"] for row in rows}
        assert len(found) == len(rows), "a target has two outcomes"
        return found

    def observed(self, day: date) -> dict[tuple[str, str, str], bool]:
        rows = self.rows(day, REPOSITORIES)
        found = {(row["account_id"], row["region"], row["repository_name"]): row["observed"] for row in rows}
        assert len(found) == len(rows), "a repository is there twice"
        return found

    def collected_at(self, day: date) -> dict[tuple[str, str, str], datetime]:
        return {
            (row["account_id"], row["region"], row["repository_name"]): row["collected_at"]
            for row in self.rows(day, REPOSITORIES)
        }


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ECR_AUDIT_{name.upper()}", raising=False)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def organization(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> FakeOrganization:
    return FakeOrganization(lake, monkeypatch)


@pytest.fixture
def scope() -> MakeScope:
    def make(*, accounts: Sequence[str] = (), ous: Sequence[str] = (), regions: Sequence[str] = ()) -> ScanScope:
        return ScanScope(accounts, ous, regions)

    return make
