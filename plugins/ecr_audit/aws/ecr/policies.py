"""Policies that a repository has of its own, as AWS stores them: its lifecycle policy, and its permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import quoted, text
from ecr_audit.aws.dispatcher import Call, Flow
from ecr_audit.aws.ecr.facet import Declaration, FacetRead, Registry, read_each
from ecr_audit.aws.ecr.repositories import Repository
from ecr_audit.aws.outcomes import error_code
from ecr_audit.vocabulary import Facet

# The longest that each can be (API reference of ECR: LifecyclePolicyText 30,720, RepositoryPolicyText 10,240).
LONGEST_POLICY = 30_720


# A repository that is gone since it was listed.
_DELETED = "RepositoryNotFoundException"


@dataclass(frozen=True)
class _PolicyCall:
    """A call for one repository's policy, and the column that it fills."""

    method: str
    member: str
    # The error by which ECR answers that there is none.
    none: str
    column: str

    def call(self, registry: Registry, repository: Repository) -> Call:
        return registry.call("ecr", self.method, {"repositoryName": repository.name}, self.member)

    def read(self, registry: Registry, repositories: Sequence[Repository], read: FacetRead) -> Flow:
        def take(arns: Sequence[str], answer: Mapping[str, Any]) -> None:
            policy = text(answer[self.member], LONGEST_POLICY)
            if policy is None:
                raise ResponseParserError(f"{self.method} returned {quoted(answer[self.member])} for {self.member}")
            read.values[arns[0]] = {self.column: policy}

        def on_error(arns: Sequence[str], error: Exception) -> bool:
            if error_code(error) == self.none:
                read.values[arns[0]] = {self.column: None}
            elif error_code(error) == _DELETED:
                read.gone.add(arns[0])
            else:
                return False
            return True

        asked = [((each.arn,), self.call(registry, each)) for each in repositories]
        yield from read_each(registry, asked, read, take, on_error)

    def probe(self, registry: Registry, repository: Repository) -> Sequence[Call]:
        return [self.call(registry, repository)]


_LIFECYCLE = _PolicyCall(
    "get_lifecycle_policy", "lifecyclePolicyText", "LifecyclePolicyNotFoundException", "lifecycle_policy"
)
_PERMISSIONS = _PolicyCall(
    "get_repository_policy", "policyText", "RepositoryPolicyNotFoundException", "repository_policy"
)

LIFECYCLE = Declaration(
    Facet.LIFECYCLE,
    "lifecycle policies of repositories",
    "whether images expire is not known",
    "one for each repository",
    (_LIFECYCLE.column,),
    _LIFECYCLE.read,
    _LIFECYCLE.probe,
)
POLICIES = Declaration(
    Facet.POLICIES,
    "permissions policies of repositories",
    "who may use repositories by their own policies is not known",
    "one for each repository",
    (_PERMISSIONS.column,),
    _PERMISSIONS.read,
    _PERMISSIONS.probe,
)

# Errors by which a probe's call shows that it is allowed.
ALLOWED = frozenset({_LIFECYCLE.none, _PERMISSIONS.none, _DELETED})
