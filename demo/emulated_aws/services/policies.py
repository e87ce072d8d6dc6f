"""Amazon ECR, policies of a repository: its lifecycle policy, and its permissions."""

from __future__ import annotations

from typing import Any

from demo.emulated_aws.authorization import authorize
from demo.emulated_aws.protocols import AwsError, Call
from demo.emulated_aws.services.ecr import find_repository, repository_arn, validate_name
from demo.emulated_aws.world import Repository


def get_lifecycle_policy(call: Call) -> Any:
    """Return a repository's lifecycle policy, as the text that it is."""
    repository = _asked(call, "ecr:GetLifecyclePolicy")
    if repository.lifecycle_policy is None:
        raise _none(call, "LifecyclePolicyNotFoundException", "Lifecycle policy", repository)
    # It was last evaluated when it was put, which was when the repository was created.
    return _answer(call, repository, lifecyclePolicyText=repository.lifecycle_policy) | {
        "lastEvaluatedAt": repository.created_at
    }


def get_repository_policy(call: Call) -> Any:
    """Return a repository's permissions, as the text of a policy document."""
    repository = _asked(call, "ecr:GetRepositoryPolicy")
    if repository.policy is None:
        raise _none(call, "RepositoryPolicyNotFoundException", "Repository policy", repository)
    return _answer(call, repository, policyText=repository.policy)


def _asked(call: Call, action: str) -> Repository:
    name = call.parameters["repositoryName"]
    authorize(call, action, repository_arn(call, name))
    validate_name("repositoryName", name)
    return find_repository(call, name)


def _answer(call: Call, repository: Repository, **text: str) -> dict[str, Any]:
    return {"registryId": call.account_id, "repositoryName": repository.name, **text}


def _none(call: Call, code: str, what: str, repository: Repository) -> AwsError:
    return AwsError(
        code,
        f"{what} does not exist for the repository with name '{repository.name}' in the registry with id"
        f" '{call.account_id}'",
    )


OPERATIONS = {"GetLifecyclePolicy": get_lifecycle_policy, "GetRepositoryPolicy": get_repository_policy}
