"""Which policy a page shows, for pages that show one at a time: the one that the address names, or the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import HTTPException, Query

from ecr_audit.web.page import Page
from ecr_audit.web.published import Row

PolicyQuery = Annotated[str | None, Query(max_length=200, description="Id of a policy; without it, the first.")]


@dataclass(frozen=True)
class PolicyChoice:
    """The policy of a page, and those that there are."""

    policy: Row
    policies: list[Row]

    @property
    def policy_id(self) -> str:
        """The chosen policy's id."""
        return str(self.policy["policy_id"])

    @property
    def in_query(self) -> str | None:
        """What links of the page have to say of it: nothing, of the policy that comes first anyway."""
        return None if self.policy is self.policies[0] else self.policy_id


def choose_policy(page: Page, policy_id: str | None) -> PolicyChoice:
    """The policy of that id; without one, the first. Raises HTTPException 404 for a policy that is not there."""
    policies = page.rows("policies")
    if policy_id is None and policies:
        return PolicyChoice(policies[0], policies)
    for policy in policies:
        if policy["policy_id"] == policy_id:
            return PolicyChoice(policy, policies)
    raise HTTPException(404)
