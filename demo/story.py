"""The history of the demo organization in the nights before `make audit`.

Told backwards from what `demo_world(1)` is: a repository that is immutable there may have been MUTABLE until some
night. Everything is drawn from fixed seeds, so that the same night is always the same.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial

from demo.emulated_aws.world import Account, Repository, World, stored
from demo.organization import demo_world
from demo.registries import registry_of
from demo.repository_settings import Target, with_settings

NIGHTS = 90

# Nights are counted from 0, the oldest.
NOT_AUDITED = 50
# The role of parcel-tracking-prod was deleted by mistake, and restored.
DARK_ACCOUNT, DARK_NIGHTS = "210000000013", range(25, 37)
# A CI template lost its setting, and what it built in that week came out MUTABLE. Half of it was fixed within eight
# nights, the rest later, as people got to it.
BAD_WEEK, BAD_WEEK_MEDIAN_NIGHTS = range(40, 47), 8
# ECR of a region answered nothing but errors.
OUTAGE_REGION, OUTAGE_NIGHT = "ap-southeast-1", 66
# The payments units were the worst until they set everything right in a week.
FIXED_UNIT, FIX_WEEK = "Root/Workloads/Production/Payments", range(56, 63)
# catalog "blue" & 'green' was tried out in the sandbox before it became a shop's.
MOVED_ACCOUNT, MOVED_FROM_UNIT_OF, MOVE_NIGHT = "210000000012", "210000000023", 30
SUSPENDED_ACCOUNT, SUSPENSION_NIGHT = "210000000026", 70

# Repositories that came and went, by target: how many.
TRIALS = {("210000000019", "us-east-1"): 9, ("210000000021", "us-east-1"): 9, ("210000000024", "us-west-2"): 6}


@dataclass(frozen=True, slots=True)
class _Life:
    """A repository that was there from the scan of one night up to, but without, that of another."""

    born: int
    gone: int
    repository: Repository


class Story:
    """The nights of the history that begins on a date: `world(0)` to `world(NIGHTS - 1)`."""

    def __init__(self, first: date) -> None:
        self.first = first
        self._end = demo_world(1)
        self._trials = {
            (account_id, region): list(_trials(account_id, region, count, first))
            for (account_id, region), count in TRIALS.items()
        }

    @property
    def organization_id(self) -> str:
        """The organization's id, the same as in the nights of `make audit`."""
        return self._end.organization_id

    def world(self, night: int) -> World:
        """The organization as it was on a night."""
        end, nights_ago = self._end, NIGHTS - night
        return replace(
            end,
            accounts={each.id: _account_on(night, each, end) for each in end.account_list},
            repository_source=stored(
                {
                    target: [with_settings(target, each, nights_ago) for each in self._repositories(night, target)]
                    for target in end.targets()
                }
            ),
            registry_source=partial(registry_of, nights_ago=nights_ago),
        )

    def _repositories(self, night: int, target: Target) -> Iterator[Repository]:
        yield from (_repository_on(night, each, target, self._end) for each in self._end.repositories(*target))
        yield from (life.repository for life in self._trials.get(target, ()) if life.born <= night < life.gone)


def _account_on(night: int, account: Account, end: World) -> Account:
    if account.id == DARK_ACCOUNT and night in DARK_NIGHTS:
        return replace(account, assumable=False)
    if account.id == MOVED_ACCOUNT and night < MOVE_NIGHT:
        return replace(account, parent_id=end.accounts[MOVED_FROM_UNIT_OF].parent_id)
    if account.id == SUSPENDED_ACCOUNT and night < SUSPENSION_NIGHT:
        return replace(account, state="ACTIVE")
    return account


def _repository_on(night: int, repository: Repository, target: Target, end: World) -> Repository:
    dice = random.Random("/".join((*target, repository.name)))  # noqa: S311 -- an invented history, no secret
    is_mutable_at_the_end = repository.image_tag_mutability == "MUTABLE"
    # A third of the repositories that comply at the end were fixed in these nights; a quarter of the others broke.
    share, turned = (0.25 if is_mutable_at_the_end else 0.35), dice.randrange(3, NIGHTS)
    if end.ou_path(target[0]) == FIXED_UNIT and not is_mutable_at_the_end:
        share, turned = 0.9, dice.choice(FIX_WEEK)
    changed = dice.random() < share
    was_mutable = is_mutable_at_the_end != (changed and night < turned)
    if dice.random() < 0.2:
        broke, open_nights = dice.choice(BAD_WEEK), dice.lognormvariate(math.log(BAD_WEEK_MEDIAN_NIGHTS), 0.8)
        # All of it before the last night, which is as `make audit` finds the organization.
        if broke <= night < min(broke + max(1, round(open_nights)), NIGHTS - 1):
            was_mutable = True
    if was_mutable == is_mutable_at_the_end:
        return repository
    return replace(repository, image_tag_mutability="MUTABLE" if was_mutable else "IMMUTABLE", exclusion_filters=())


def _trials(account_id: str, region: str, count: int, first: date) -> Iterator[_Life]:
    """Repositories of a few weeks each; every third was deleted and created again, at once or three nights later."""
    dice = random.Random(f"trials/{account_id}/{region}")  # noqa: S311
    for number in range(count):
        born = dice.randrange(5, 40)
        ages: Sequence[int] = (dice.randrange(6, 20), dice.randrange(6, 20)) if number % 3 == 0 else (20,)
        for age in ages:
            yield _Life(born, born + age, _trial(number, first + timedelta(days=born), dice))
            born += age + (3 if number % 2 else 0)


def _trial(number: int, created_on: date, dice: random.Random) -> Repository:
    return Repository(
        f"trial/{number:02}",
        created_at=datetime.combine(created_on, time(0, 30), UTC).timestamp(),
        image_tag_mutability=dice.choice(("MUTABLE", "MUTABLE", "IMMUTABLE")),
        tags={"owner": "team-quarry"},
    )
