"""The policy of a page that shows one at a time: from the address, or the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import HTTPException, Query

from ecr_audit.web.page import Page
from ecr_audit.web.published import Row

PolicyQuery = Annotated[str | None, Query(max_length=200, description="Id of a policy; without it, the first.")]


@dataclass(frozen=True)
class PolicyChoice:
    """The policy of a page, and all policies."""

    policy: Row
    policies: list[Row]

    @property
    def policy_id(self) -> str:
        """The chosen policy's id."""
        return str(self.policy["policy_id"])

    @property
    def in_query(self) -> str | None:
        """The `policy` parameter for links of the page: None for the first policy, which is the default."""
        return None if self.policy is self.policies[0] else self.policy_id


def choose_policy(page: Page, policy_id: str | None) -> PolicyChoice:
    """The policy with that id; without an id, the first. Raises HTTPException 404 for an unknown policy."""
    policies = page.rows("policies")
    if policy_id is None and policies:
        return PolicyChoice(policies[0], policies)
    for policy in policies:
        if policy["policy_id"] == policy_id:
            return PolicyChoice(policy, policies)
    raise HTTPException(404)
