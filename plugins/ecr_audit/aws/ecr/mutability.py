"""The tag mutability of one repository: read, and written by the remediation role alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import Unread, quoted
from ecr_audit.aws.dispatcher import Call, Flow, Identity
from ecr_audit.aws.ecr.repositories import Repository, read_repositories
from ecr_audit.aws.permissions import Permission, Role

_REPOSITORIES = ("arn:{partition}:ecr:*:{account}:repository/*",)

PERMISSIONS = (
    Permission(
        (Role.REMEDIATION,),
        "ecr:DescribeRepositories",
        "a repository's setting before each write, and after all of them",
        _REPOSITORIES,
        without="nothing is written in the account",
    ),
    Permission(
        (Role.REMEDIATION,),
        "ecr:PutImageTagMutability",
        "to write the setting of an approved plan",
        _REPOSITORIES,
        without="nothing is written in the account",
    ),
)

NOT_FOUND = "RepositoryNotFoundException"


@dataclass(frozen=True)
class Setting:
    """A repository's tag mutability and exclusion filters, as PutImageTagMutability takes them."""

    mutability: str
    filters: tuple[str, ...] = ()

    @classmethod
    def of(cls, mutability: str | None, filters: Sequence[str] | None) -> Setting:
        """The setting of a row; AWS's default where the answer left it out (CreateRepository, ECR API Reference)."""
        return cls((mutability or "MUTABLE").strip().upper(), tuple(filters or ()))

    def equals(self, other: Setting) -> bool:
        """Whether both mean the same: the order of filters does not count."""
        return self.mutability == other.mutability and sorted(self.filters) == sorted(other.filters)

    def __str__(self) -> str:
        return f"{self.mutability} ({', '.join(self.filters)})" if self.filters else self.mutability


def setting_of(repository: Repository) -> Setting:
    """The setting that was read of a repository."""
    return Setting.of(
        repository.image_tag_mutability,
        [str(each["filter"]) for each in repository.exclusion_filters if each["filter"]],
    )


def describe_by_name(identity: Identity, account_id: str, region: str, name: str) -> Flow:
    """A flow that reads one repository. Returns a Repository.

    Raises AWS's errors, such as RepositoryNotFoundException, and ResponseParserError for an answer that cannot be read.
    """
    answer = yield Call(identity, "ecr", region, "describe_repositories", {"repositoryNames": [name]}, "repositories")
    found = answer["repositories"]
    if not isinstance(found, list) or len(found) != 1:
        raise ResponseParserError(f"describe_repositories returned {quoted(found)} for the repository {name}")
    [repository] = read_repositories(found, account_id, region, Unread())
    return repository


def put_setting(identity: Identity, region: str, name: str, setting: Setting) -> Flow:
    """A flow that replaces the whole setting of a repository; its tags stay. Raises AWS's errors.

    Source: PutImageTagMutability, Amazon ECR API Reference: filters go with the two *_WITH_EXCLUSION only.
    """
    request: dict[str, object] = {"repositoryName": name, "imageTagMutability": setting.mutability}
    if setting.filters:
        request["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": pattern} for pattern in setting.filters
        ]
    yield Call(identity, "ecr", region, "put_image_tag_mutability", request, "imageTagMutability")
