"""The demo organization, on two nights: yesterday, and today after some things changed.

A made-up parcel service. Everything is derived from fixed seeds; only what is new on the second night takes its time
of creation from the day of the demo.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial

from demo.emulated_aws.world import Account, OrganizationalUnit, Region, Repository, World, stored
from demo.image_tags import with_images
from demo.registries import registry_of
from demo.repository_settings import key_manager, with_settings

HUB = "210000000001"
EXTERNAL_ID = "demo-external-id"
REMEDIATION_ROLE = "ecr-audit-remediation"
SECURITY_HUB_ROLE = "ecr-audit-security-hub"
HOME = "us-east-1"
OPT_IN_REGION = "eu-central-2"
REGIONS = (
    Region("us-east-1"),
    Region("us-west-2"),
    Region("eu-west-1"),
    Region("eu-central-1"),
    Region("ap-southeast-1"),
    Region(OPT_IN_REGION, opt_in=True),
)
PAGE_EXCEEDING = ("210000000022", "us-east-1")
_PAGE_EXCEEDING_COUNT = 1_043

# Units by path: the demo tree is three levels deep.
_UNIT_PATHS = (
    "Security",
    "Platform",
    "Platform/Shared Services",
    "Platform/Network",
    "Workloads",
    "Workloads/Production",
    "Workloads/Production/Payments",
    "Workloads/Production/Storefront",
    "Workloads/Production/Logistics",
    "Workloads/Staging",
    "Workloads/Development",
    "Sandbox",
    "Suspended",
)
# Account number, name, unit, regions with repositories, repositories in each of them. The odd names are there to be
# printed: by a terminal, a CSV file opened in a spreadsheet, a web page.
_ACCOUNTS: tuple[tuple[int, str, str, str, int], ...] = (
    (1, "organization-management", "", "us-east-1", 2),
    (2, "security-audit", "Security", "us-east-1", 6),
    (3, "log-archive", "Security", "", 0),
    (4, "shared-images", "Platform/Shared Services", "us-east-1 us-west-2 eu-west-1 eu-central-1", 24),
    (5, "ci-runners", "Platform/Shared Services", "us-east-1 eu-central-1", 14),
    (6, "network-hub", "Platform/Network", "eu-central-1", 3),
    (7, "payments-prod", "Workloads/Production/Payments", "us-east-1 eu-west-1 eu-central-2", 26),
    (8, "fraud-detection-prod", "Workloads/Production/Payments", "us-east-1 eu-west-1", 15),
    (9, "ledger-prod", "Workloads/Production/Payments", "eu-central-1 eu-central-2", 11),
    (10, "storefront-prod", "Workloads/Production/Storefront", "us-east-1 us-west-2 eu-west-1", 20),
    (11, "search-prod", "Workloads/Production/Storefront", "us-east-1 eu-west-1", 13),
    (12, "catalog \"blue\" & 'green'", "Workloads/Production/Storefront", "us-west-2", 12),
    (13, "parcel-tracking-prod", "Workloads/Production/Logistics", "eu-central-1 ap-southeast-1", 16),
    (14, "Lagerhaus München - ロジスティクス", "Workloads/Production/Logistics", "eu-central-1", 14),
    (15, "route-planner-prod", "Workloads/Production/Logistics", "eu-west-1 ap-southeast-1", 10),
    (16, "payments-staging", "Workloads/Staging", "us-east-1", 16),
    (17, "storefront-staging", "Workloads/Staging", "us-east-1 eu-west-1", 12),
    (18, "logistics-staging\n(shared with QA)", "Workloads/Staging", "eu-central-1", 10),
    (19, "payments-dev", "Workloads/Development", "us-east-1", 18),
    (20, '=HYPERLINK("https://example.com")', "Workloads/Development", "us-east-1", 9),
    (21, "storefront-dev", "Workloads/Development", "us-east-1 ap-southeast-1", 20),
    (22, "preview-environments", "Workloads/Development", "", 0),
    (23, "<script>alert('sandbox')</script>", "Sandbox", "us-west-2", 7),
    (24, "data-science-sandbox", "Sandbox", "us-east-1 us-west-2", 11),
    (25, "acquired-courier-legacy", "Workloads/Production/Logistics", "us-east-1 eu-west-1", 8),
    (26, "retired-marketing-site", "Suspended", "us-east-1", 5),
)
_NEW_ACCOUNT = (27, "returns-prod", "Workloads/Production/Logistics", "us-east-1 eu-west-1", 6)
_SUSPENDED, _NEVER_ASSUMABLE, _DARK_ON_NIGHT_2 = 26, 25, 15
_OPTED_IN = (7, 9)
# An SCP keeps these accounts out of ap-southeast-1; on the second night it closes us-west-2 to account 24, too.
_DENIED_REGIONS = {19: "ap-southeast-1", 20: "ap-southeast-1", 21: "ap-southeast-1"}
# Its audit role was made before lifecycle policies were read.
_DENIED_ACTIONS = {22: "ecr:GetLifecyclePolicy"}

_SYSTEMS = (
    "checkout",
    "ledger",
    "catalog",
    "search",
    "routing",
    "labels",
    "tracking",
    "identity",
    "billing",
    "returns",
)
_PARTS = ("api", "worker", "web", "migrations", "gateway", "scheduler", "exporter", "cache-warmer", "consumer", "admin")
_TEAMS = ("team-harbor", "team-meridian", "team-lantern", "team-quarry", "team-juniper")
_MUTABILITIES = ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")
_IMMUTABLE_FILTERS = (("latest",), ("latest", "dev-*"), ("nightly*",), ("pr-*", "branch-*", "latest"))
_MUTABLE_FILTERS = (("v*",), ("release-*", "v*.*"), ("prod*",))


def demo_world(night: int, today: date | None = None) -> World:
    """Return the organization as it was yesterday (`night` 1) or is today (`night` 2).

    `today`: the day of the second night, UTC; by default the present one.
    """
    if night not in (1, 2):
        raise ValueError(f"night: {night} is not a night of the demo. Give 1 or 2.")
    repositories = {
        (_account_id(number), region): _repositories(number, region, count)
        for number, _, _, regions, count in _ACCOUNTS
        for region in regions.split()
    }
    repositories[PAGE_EXCEEDING] = _preview_environments()
    _add_oddities(repositories)
    rows = _ACCOUNTS
    if night == 2:
        created_at = datetime.combine(today or datetime.now(UTC).date(), time(0, 30), UTC).timestamp()
        _pass_a_day(repositories, created_at)
        rows = (*_ACCOUNTS, _NEW_ACCOUNT)
    nights_ago = 2 - night
    repositories = {
        target: [with_images(target, with_settings(target, each, nights_ago), nights_ago) for each in found]
        for target, found in repositories.items()
    }
    accounts = [_account(number, name, unit, night) for number, name, unit, _, _ in rows]
    units = [
        OrganizationalUnit(_unit_id(path), path.rpartition("/")[2], _unit_id(path.rpartition("/")[0]))
        for path in _UNIT_PATHS
    ]
    return World(
        accounts={account.id: account for account in accounts},
        regions=REGIONS,
        units={unit.id: unit for unit in units},
        hub_account_id=HUB,
        management_account_id=HUB,
        external_id=EXTERNAL_ID,
        remediation_role_name=REMEDIATION_ROLE,
        security_hub_role_name=SECURITY_HUB_ROLE,
        repository_source=stored(repositories),
        registry_source=partial(registry_of, nights_ago=nights_ago),
        key_source=key_manager,
    )


def _account_id(number: int) -> str:
    return f"2100000000{number:02}"


def _unit_id(path: str) -> str:
    return f"ou-demo-{_UNIT_PATHS.index(path) + 1:08}" if path else "r-demo"


def _account(number: int, name: str, unit: str, night: int) -> Account:
    denied = {_DENIED_REGIONS[number]} if number in _DENIED_REGIONS else set()
    if night == 2 and number == 24:
        denied.add("us-west-2")
    return Account(
        _account_id(number),
        name,
        _unit_id(unit),
        state="SUSPENDED" if number == _SUSPENDED else "ACTIVE",
        joined_at=datetime(2019 + number % 6, 1 + number % 12, 14, 9, 30, tzinfo=UTC).timestamp(),
        enabled_opt_in_regions=frozenset({OPT_IN_REGION} if number in _OPTED_IN else ()),
        assumable=number != _NEVER_ASSUMABLE and not (night == 2 and number == _DARK_ON_NIGHT_2),
        denied_regions=frozenset(denied),
        denied_actions=frozenset({_DENIED_ACTIONS[number]} if number in _DENIED_ACTIONS else ()),
    )


def _repositories(number: int, region: str, count: int) -> list[Repository]:
    """Invent the repositories of an account in a region. Production is stricter than the rest."""
    dice = random.Random(f"{number}/{region}")  # noqa: S311 -- an invented organization, no secret
    names = [f"{system}/{part}" for system in _SYSTEMS for part in _PARTS]
    weights = (30, 52, 12, 6) if 7 <= number <= 15 else (62, 26, 8, 4)
    return [
        _repository(name, dice.choices(_MUTABILITIES, weights)[0], dice) for name in sorted(dice.sample(names, count))
    ]


def _repository(name: str, mutability: str, dice: random.Random) -> Repository:
    filters: tuple[str, ...] = ()
    if mutability.endswith("_WITH_EXCLUSION"):
        filters = dice.choice(_IMMUTABLE_FILTERS if mutability.startswith("IMM") else _MUTABLE_FILTERS)
    tags = {"service": name.partition("/")[0]} if dice.random() < 0.8 else None
    if tags is not None and dice.random() < 0.8:
        tags[dice.choice(("owner", "team"))] = dice.choice(_TEAMS)
    encryption = dice.choice(("AES256", "AES256", "KMS"))
    if dice.getrandbits(32) % 12 == 0 and encryption == "KMS":
        encryption = "KMS_DSSE"
    return Repository(
        name,
        created_at=float(dice.randrange(1_577_836_800, 1_767_225_600)),  # 2020-01-01 to 2026-01-01
        image_tag_mutability=mutability,
        exclusion_filters=filters,
        scan_on_push=dice.random() < 0.6,
        encryption_type=encryption,
        tags=tags,
    )


def _preview_environments() -> list[Repository]:
    """Invent the account whose CI opens a repository per pull request: more of them than a page of ECR holds."""
    dice = random.Random("previews")  # noqa: S311 -- an invented organization, no secret
    mutabilities = dice.choices(("MUTABLE", "IMMUTABLE"), (35, 65), k=_PAGE_EXCEEDING_COUNT)
    return [_repository(f"preview/pr-{4000 + n}", mutability, dice) for n, mutability in enumerate(mutabilities)]


def _add_oddities(repositories: dict[tuple[str, str], list[Repository]]) -> None:
    """Put in what AWS may answer and a program might not expect."""
    shared = repositories[_account_id(4), HOME]
    # A value that no SDK knows yet, a missing field, a value that is not as usually spelled.
    shared[0] = replace(shared[0], image_tag_mutability="IMMUTABLE_AFTER_SCAN", exclusion_filters=())
    shared[1] = replace(shared[1], image_tag_mutability=None, exclusion_filters=())
    shared[2] = replace(shared[2], image_tag_mutability=" immutable ", exclusion_filters=())
    # Immutable by name, yet the filter excludes every tag: as overwritable as MUTABLE.
    shared[3] = replace(shared[3], image_tag_mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("*",))
    # It had tags once: the tagging API lists it with none.
    shared[4] = replace(shared[4], tags={})
    # A repository that would hide if the opt-in region were taken for granted, or skipped.
    payments = repositories[_account_id(7), OPT_IN_REGION]
    payments[0] = replace(payments[0], image_tag_mutability="MUTABLE", exclusion_filters=())


def _pass_a_day(repositories: dict[tuple[str, str], list[Repository]], created_at: float) -> None:
    """Change what changed between the two nights."""
    # payments-prod fixed what was MUTABLE in its largest region, the first of them with an exclusion.
    payments = repositories[_account_id(7), HOME]
    first, *others = (i for i, repository in enumerate(payments) if repository.image_tag_mutability == "MUTABLE")
    payments[first] = replace(
        payments[first], image_tag_mutability="IMMUTABLE_WITH_EXCLUSION", exclusion_filters=("latest",)
    )
    for index in others:
        payments[index] = replace(payments[index], image_tag_mutability="IMMUTABLE")
    # storefront-prod opened new ones, MUTABLE, which is ECR's default, and loosened an old one.
    storefront = repositories[_account_id(10), "eu-west-1"]
    storefront += [
        Repository(f"loyalty/{part}", created_at, tags={"team": "team-juniper"}) for part in ("api", "web", "worker")
    ]
    strict = next(i for i, repository in enumerate(storefront) if repository.image_tag_mutability == "IMMUTABLE")
    storefront[strict] = replace(storefront[strict], image_tag_mutability="MUTABLE")
    # payments-staging deleted some unused ones.
    del repositories[_account_id(16), HOME][-3:]
    # ci-runners deleted one and created it again under its old name: another repository, with a history of its own.
    runners = repositories[_account_id(5), HOME]
    runners[0] = replace(runners[0], created_at=created_at, image_tag_mutability="MUTABLE", exclusion_filters=())
    number, _, _, regions, count = _NEW_ACCOUNT
    for region in regions.split():
        repositories[_account_id(number), region] = _repositories(number, region, count)
