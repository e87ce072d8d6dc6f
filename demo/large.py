"""A large organization for benchmarks, derived from hashes: nothing is held per account x region."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence

from demo.emulated_aws.world import Account, OrganizationalUnit, Region, Repository, World
from demo.registries import registry_of_many
from demo.repository_settings import EVERYONE, LIFECYCLES, THE_ORGANIZATION, key_manager, key_of

# The 17 regions that every account of partition aws has without opting in, largest first.
DEFAULT_REGIONS = (
    "us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "us-east-2", "ap-southeast-1", "ap-northeast-1",
    "ap-southeast-2", "eu-west-2", "ap-south-1", "ca-central-1", "eu-west-3", "us-west-1", "eu-north-1", "sa-east-1",
    "ap-northeast-2", "ap-northeast-3",
)  # fmt: skip
HUB = "100000000000"
_ACCOUNTS_PER_UNIT = 50


def large_world(
    accounts: int = 10_000,
    regions: int = 17,
    *,
    occupied_share: float = 0.15,
    repositories_per_target: float = 12.0,
    unassumable_share: float = 0.0,
    denied_share: float = 0.0,
    seed: int = 0,
) -> World:
    """Return an organization of `accounts` x `regions` targets.

    `occupied_share` of the targets hold repositories: `repositories_per_target` on average, few in most of them and
    very many in some (log-normal). `unassumable_share` of the accounts cannot be entered, and `denied_share` of all
    account x region are denied by an SCP. The same arguments give the same world.
    """
    if not 1 <= regions <= len(DEFAULT_REGIONS):
        raise ValueError(f"regions: {regions} is out of range. Give a number from 1 to {len(DEFAULT_REGIONS)}.")
    names = DEFAULT_REGIONS[:regions]
    units = _units(accounts)
    unit_ids = list(units)
    members: dict[str, Account] = {}
    for number in range(accounts):
        account_id = str(int(HUB) + number)
        dice = random.Random(f"{seed}/{account_id}")  # noqa: S311 -- an invented account, no secret
        members[account_id] = Account(
            account_id,
            f"account-{number:05}",
            unit_ids[number // _ACCOUNTS_PER_UNIT],
            assumable=account_id == HUB or dice.random() >= unassumable_share,
            denied_regions=frozenset(name for name in names if denied_share and dice.random() < denied_share),
        )
    return World(
        accounts=members,
        regions=[Region(name) for name in names],
        units=units,
        hub_account_id=HUB,
        management_account_id=HUB,
        repository_source=_derive(occupied_share, repositories_per_target, seed),
        registry_source=registry_of_many,
        key_source=key_manager,
    )


def _units(accounts: int) -> dict[str, OrganizationalUnit]:
    numbers = range((accounts - 1) // _ACCOUNTS_PER_UNIT + 1)
    return {f"ou-demo-{n:08}": OrganizationalUnit(f"ou-demo-{n:08}", f"Unit {n:03}", "r-demo") for n in numbers}


def _derive(occupied_share: float, mean: float, seed: int) -> Callable[[str, str], Sequence[Repository]]:
    """Return a source of repositories that computes those of a target from its name each time."""
    occupied_below = int(occupied_share * 2**32)

    def repositories(account_id: str, region: str) -> Sequence[Repository]:
        digest = hashlib.blake2b(f"{seed}/{account_id}/{region}".encode(), digest_size=8).digest()
        if int.from_bytes(digest[:4]) >= occupied_below:
            return ()
        dice = random.Random(digest)  # noqa: S311 -- invented repositories, no secret
        # The mean of a log-normal distribution is e^(mu + sigma²/2); with sigma 1 and a median of e^mu.
        count = max(1, round(mean * dice.lognormvariate(-0.5, 1.0)))
        return [_repository((account_id, region), number, dice) for number in range(count)]

    return repositories


def _repository(target: tuple[str, str], number: int, dice: random.Random) -> Repository:
    mutability = dice.choices(
        ("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"), (60, 30, 7, 3)
    )[0]
    return Repository(
        name=f"team-{number % 7}/service-{number:04}",
        created_at=1_600_000_000.0 + dice.randrange(150_000_000),
        image_tag_mutability=mutability,
        exclusion_filters=("latest",) if mutability.endswith("_WITH_EXCLUSION") else (),
        scan_on_push=dice.random() < 0.5,
        tags={"owner": f"team-{number % 7}"} if dice.random() < 0.8 else None,
        encryption_type="KMS" if number % 3 == 0 else "AES256",
        kms_key=key_of(target, "AWS" if number % 2 else "CUSTOMER") if number % 3 == 0 else None,
        lifecycle_policy=LIFECYCLES[0] if number % 5 < 3 else None,
        policy={7: EVERYONE, 11: THE_ORGANIZATION}.get(number % 40),
    )
