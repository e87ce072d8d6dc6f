"""Images of the demo organization's repositories, and what their tags pointed to some nights ago.

Everything is derived from the repository's name, place and setting, and from how many nights ago it is, as in
`repository_settings`. Most repositories have releases that stay. In some, `latest` moves every night; the CI's account
moves `main` and `cache` in each of its repositories. And five tags have a story of their own: see STORIES.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from demo.emulated_aws.world import Image, Repository, World
from demo.repository_settings import PREVIEWS, Target

# Its pipelines keep the newest build, and the layers of the last one, under tags of their own.
CI_ACCOUNT = "210000000005"

# The share of the repositories in which latest moves; in as many it stays.
_BUSY, _QUIET = 0.2, 0.2


@dataclass(frozen=True, slots=True)
class TagStory:
    """A tag, with how many nights ago it came to point to each of its builds, newest last; no build: it was removed."""

    target: Target
    repository: str
    tag: str
    builds: tuple[tuple[int, str], ...]


_STOREFRONT, _FRAUD, _SEARCH = (
    ("210000000010", "us-east-1"),
    ("210000000008", "eu-west-1"),
    ("210000000011", "us-east-1"),
)
_ALWAYS = 10_000

# The attack: a release of the shop, which its deployments pull by tag, is another image since last night.
ATTACK = TagStory(_STOREFRONT, "identity/worker", "2.4.1", ((_ALWAYS, "released"), (0, "malware")))
# A pipeline deletes the tag that it may not move, and pushes it again.
FORCED = TagStory(_FRAUD, "billing/scheduler", "1.8.0", ((_ALWAYS, "released"), (0, "hotfix")))
# A rollback: it points again to what it did before last night's release.
ROLLED_BACK = TagStory(_SEARCH, "catalog/api", "prod", ((_ALWAYS, "release 41"), (1, "release 42"), (0, "release 41")))
# Set again three nights after it was removed.
GONE_FOR_A_WHILE = TagStory(_SEARCH, "identity/exporter", "nightly", ((_ALWAYS, "first"), (8, ""), (5, "second")))
# A release that was built twice, and put right three weeks ago.
BUILT_TWICE = TagStory(_STOREFRONT, "ledger/web", "3.0.2", ((_ALWAYS, "first"), (22, "second"), (20, "first")))

STORIES = (ATTACK, FORCED, ROLLED_BACK, GONE_FOR_A_WHILE, BUILT_TWICE)


def with_images(target: Target, repository: Repository, nights_ago: int) -> Repository:
    """The repository with its images of some nights ago."""
    tags: dict[str, list[str]] = {}
    for tag, build in _tags_of(target, repository, nights_ago).items():
        tags.setdefault(_digest(*target, repository.name, tag, build), []).append(tag)
    return replace(repository, images=tuple(Image(digest, tuple(tags)) for digest, tags in tags.items()))


def tags_of(repository: Repository) -> dict[str, str]:
    """The digest by tag."""
    return {tag: image.digest for image in repository.images for tag in image.tags}


@dataclass(frozen=True, slots=True)
class Moved:
    """A tag that points to another digest than in an earlier world; `kind` as in tag_moves, by these two alone."""

    repository_arn: str
    tag: str
    kind: str
    old_digest: str
    new_digest: str


def moves_between(before: World, now: World) -> set[Moved]:
    """The tags that were overwritten between two nights, in repositories whose tags are read in both.

    The setting is overwritable: one that is IMMUTABLE in a night is not read in it.
    """
    found = set()
    for target in now.targets():
        if target[0] not in before.accounts or {before.outcome(*target), now.outcome(*target)} != {"COLLECTED"}:
            continue
        earlier = {each.name: each for each in before.repositories(*target)}
        for repository in now.repositories(*target):
            known = earlier.get(repository.name)
            if known is None or known.created_at != repository.created_at:
                continue
            if is_sealed(known) or is_sealed(repository):
                continue
            old = tags_of(known)
            for tag, digest in tags_of(repository).items():
                if tag in old and old[tag] != digest:
                    kind = "moved" if _can_move(known, tag) or _can_move(repository, tag) else "moved_though_immutable"
                    arn = f"arn:{now.partition}:ecr:{target[1]}:{target[0]}:repository/{repository.name}"
                    found.add(Moved(arn, tag, kind, old[tag], digest))
    return found


def _tags_of(target: Target, repository: Repository, nights_ago: int) -> dict[str, str]:
    """The build by tag."""
    dice = random.Random(f"images/{'/'.join(target)}/{repository.name}")  # noqa: S311 -- an invented organization
    if target[0] == PREVIEWS:
        return {repository.name.rpartition("/")[2]: "preview"}
    tags = {f"1.{minor}.0": "released" for minor in range(dice.randrange(2, 6))}
    share, tonight = dice.random(), f"{nights_ago} nights ago"
    if share < _BUSY + _QUIET:
        tags["latest"] = tonight if share < _BUSY and _can_move(repository, "latest") else "first"
    if target[0] == CI_ACCOUNT:
        tags |= {tag: tonight if _can_move(repository, tag) else "first" for tag in ("main", "cache")}
    for story in STORIES:
        if (story.target, story.repository) == (target, repository.name):
            build = next(name for since, name in reversed(story.builds) if nights_ago <= since)
            tags |= {story.tag: build} if build else {}
    return tags


def is_sealed(repository: Repository) -> bool:
    """Whether no tag of a repository can be overwritten."""
    return _setting_of(repository) == "IMMUTABLE"


def _setting_of(repository: Repository) -> str:
    return (repository.image_tag_mutability or "").strip().upper()


def _can_move(repository: Repository, tag: str) -> bool:
    """Whether the repository's setting lets a push overwrite a tag."""
    setting = _setting_of(repository)
    is_listed = any(fnmatchcase(tag, each) for each in repository.exclusion_filters)
    return {"MUTABLE": True, "IMMUTABLE_WITH_EXCLUSION": is_listed, "MUTABLE_WITH_EXCLUSION": not is_listed}.get(
        setting, False
    )


def _digest(*parts: str) -> str:
    return f"sha256:{hashlib.sha256('/'.join(parts).encode()).hexdigest()}"
