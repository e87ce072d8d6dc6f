"""Filters for the remediation plan, of the page, its download and the API, validated in one place."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ecr_audit.vocabulary import PlanAction, PlanRule
from ecr_audit.web.findings_query import (
    ALL_POLICIES,
    WORDS,
    few_words,
    must_exist,
    unit_path,
    unknown_name,
    without_empty,
    word_parameters,
)
from ecr_audit.web.page import Page
from ecr_audit.web.policy_choice import choose_policy

# For managed_by: the plan's rows without it.
UNKNOWN = "unknown"


class PlanFilter(BaseModel):
    """Filters for rows of the remediation plan; an omitted or empty filter matches everything."""

    model_config = ConfigDict(extra="forbid")

    policy: str | None = Field(
        None, max_length=200, description=f"Id of a policy, or `{ALL_POLICIES}`. Without it: the first."
    )
    action: PlanAction | None = Field(None, description="The proposal.")
    rule: PlanRule | None = Field(None, description="The rule that decided on action.")
    managed_by: str | None = Field(
        None, max_length=200, description=f"The tool whose code owns the setting, or `{UNKNOWN}`."
    )
    ou: str | None = Field(
        None, max_length=1000, description="Path of a unit, such as Root/Prod, or its id; those below it are included."
    )
    account: str | None = Field(None, max_length=200, description="Id of an account.")
    region: str | None = Field(None, max_length=200, description="An AWS region, such as eu-west-1.")
    owner: str | None = Field(None, max_length=1000, description="Owner of the repository.")
    repository: str | None = Field(None, max_length=1000, description="ARN of a repository.")
    search: Annotated[str | None, AfterValidator(few_words)] = Field(
        None,
        max_length=200,
        description=f"Up to {WORDS} words, each in the repository's or the account's name; case does not matter.",
    )

    _without_empty = model_validator(mode="before")(without_empty)

    def in_query(self) -> dict[str, Any]:
        """The query parameters that reproduce this filter, without omitted and default values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def parameters(self, page: Page) -> dict[str, Any]:
        """The parameters of sql/pages/remediation/matching.sql.

        Raises RequestValidationError for a policy, unit, account, region, owner or tool that the publication does not
        have: an empty plan would look as if there was nothing to do.
        """
        given = self.model_dump(include=set(PlanFilter.model_fields) - {"search"})
        given["ou"] = unit_path(page, self.ou)
        for name in ("policy", "ou", "account", "region", "owner"):
            must_exist(page, name, given[name])
        if self.managed_by:
            tools = [row["value"] for row in page.rows("remediation/choices") if row["kind"] == "managed_by"]
            if self.managed_by not in tools:
                raise unknown_name("managed_by", self.managed_by, tools)
        given["policy"] = None if self.policy == ALL_POLICIES else choose_policy(page, self.policy).policy_id
        return given | word_parameters(self.search)


class PlanQuery(PlanFilter):
    """A page of them."""

    page: int = Field(1, ge=1, le=1_000_000, description="Page number, from 1.")
