"""Filters for image tags that were overwritten, of the page, its download and the API, validated in one place."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ecr_audit.vocabulary import TagMove
from ecr_audit.web.findings_query import WORDS, few_words, must_exist, unit_path, without_empty, word_parameters
from ecr_audit.web.page import Page


class TagMovesFilter(BaseModel):
    """Filters for overwrites of image tags; an omitted or empty filter matches everything."""

    model_config = ConfigDict(extra="forbid")

    kind: TagMove | None = Field(None, description="How the tag was overwritten.")
    release: bool | None = Field(None, description="Whether the tag looks like a release (is_release).")
    since: date | None = Field(None, description="The first night, as 2026-11-23.")
    until: date | None = Field(None, description="The last night, as 2026-11-23.")
    ou: str | None = Field(
        None, max_length=1000, description="Path of a unit, such as Root/Prod, or its id; those below it are included."
    )
    account: str | None = Field(None, max_length=200, description="Id of an account.")
    region: str | None = Field(None, max_length=200, description="An AWS region, such as eu-west-1.")
    owner: str | None = Field(None, max_length=1000, description="Owner of the repository on that night.")
    repository: str | None = Field(None, max_length=1000, description="ARN of a repository.")
    tag: str | None = Field(None, max_length=1000, description="An image tag.")
    search: Annotated[str | None, AfterValidator(few_words)] = Field(
        None,
        max_length=200,
        description=f"Up to {WORDS} words, each in the tag, the repository's or the account's name; case does not"
        " matter.",
    )

    _without_empty = model_validator(mode="before")(without_empty)

    def in_query(self) -> dict[str, Any]:
        """The query parameters that reproduce this filter, without omitted and default values."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}

    def parameters(self, page: Page) -> dict[str, Any]:
        """The parameters of sql/pages/tag_moves/matching.sql.

        Raises RequestValidationError for a unit, account, region or owner that the publication does not have, neither
        tonight nor in an earlier night: no overwrites would look like good news.
        """
        given = self.model_dump(include=set(TagMovesFilter.model_fields) - {"search"})
        given["ou"] = unit_path(page, self.ou)
        for name in ("ou", "account", "region", "owner"):
            if given[name] and not page.rows("tag_moves/known", kind=name, value=given[name])[0]["known"]:
                must_exist(page, name, given[name])
        return given | word_parameters(self.search)


class TagMovesQuery(TagMovesFilter):
    """A page of them."""

    page: int = Field(1, ge=1, le=1_000_000, description="Page number, from 1.")
