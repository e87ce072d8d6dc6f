"""Filters for findings, of the page, its downloads and the API, validated in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ecr_audit.unit_paths import UNIT_ID
from ecr_audit.vocabulary import FindingStatus, OverwritableTags
from ecr_audit.web.page import Page
from ecr_audit.web.policy_choice import choose_policy

# Not a policy's id: it selects the findings of all policies.
ALL_POLICIES = "all"

Sort = Literal[
    "age", "-age", "repository", "-repository", "account", "-account", "owner", "-owner", "region", "-region",
    "status", "-status",
]  # fmt: skip

# The oldest first.
DEFAULT_SORT: Sort = "-age"

FILTER_WORDS = {
    "status": "status",
    "ou": "unit, and those below",
    "account": "account",
    "region": "region",
    "owner": "owner",
    "age": "open for at least (days)",
    "tags": "tags that can be overwritten",
    "waived": "waived",
    "search": "words in names",
}

# sql/pages/findings/matching.sql and tag_moves/matching.sql have the same number of parameters.
WORDS = 5

# Filters whose values are names that the publication has.
_NAMES = ("policy", "ou", "account", "region", "owner")


def without_empty(given: Any) -> Any:
    """A query without its empty values, since a form also sends its empty fields."""
    return {name: value for name, value in given.items() if value != ""} if isinstance(given, dict) else given


def few_words(search: str | None) -> str | None:
    """A search, unless it has more than WORDS words. Raises ValueError then."""
    if search and len(search.split()) > WORDS:
        raise ValueError(f"has {len(search.split())} words; the maximum is {WORDS}")
    return search


def word_parameters(search: str | None) -> dict[str, str | None]:
    """The words of a search, in lower case, as the parameters word_1, word_2, … of a query; NULL: no further word."""
    words = [word.lower() for word in (search or "").split()]
    return {f"word_{n}": words[n - 1] if n <= len(words) else None for n in range(1, WORDS + 1)}


class FindingsFilter(BaseModel):
    """Filters for findings; an omitted or empty filter matches everything."""

    model_config = ConfigDict(extra="forbid")

    policy: str | None = Field(
        None,
        max_length=200,
        description=f"Id of a policy, or `{ALL_POLICIES}`. Without it: the first.",
    )
    status: FindingStatus | None = Field(
        None, description="INCOMPLIANT, or UNDETERMINED: incompliant when last evaluated, but not tonight."
    )
    ou: str | None = Field(
        None, max_length=1000, description="Path of a unit, such as Root/Prod, or its id; those below it are included."
    )
    account: str | None = Field(None, max_length=200, description="Id of an account.")
    region: str | None = Field(None, max_length=200, description="An AWS region, such as eu-west-1.")
    owner: str | None = Field(
        None, max_length=1000, description="The owner from the repository's tags, or the name of its account."
    )
    age: int | None = Field(
        None, ge=0, le=100_000, description="Minimum number of days that the finding has been open."
    )
    tags: OverwritableTags | None = Field(None, description="Which tags can be overwritten.")
    waived: bool | None = Field(None, description="Whether a waiver in force covers it.")
    search: Annotated[str | None, AfterValidator(few_words)] = Field(
        None,
        max_length=200,
        description=f"Up to {WORDS} words, each in the repository's or the account's name; case does not matter.",
    )

    _without_empty = model_validator(mode="before")(without_empty)

    def in_query(self) -> dict[str, Any]:
        """The query parameters that reproduce this filter, without omitted and default values."""
        given = self.model_dump(exclude_defaults=True)
        return {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}

    def in_words(self) -> dict[str, str]:
        """The given filters except the policy, in words, with their values."""
        return {FILTER_WORDS[name]: str(value) for name, value in self.in_query().items() if name in FILTER_WORDS}

    def parameters(self, page: Page) -> dict[str, Any]:
        """The parameters of sql/pages/findings/matching.sql.

        Raises RequestValidationError for a policy, unit, account, region or owner that the publication does not have:
        no findings would look like good news.
        """
        given = self.model_dump(include=set(FindingsFilter.model_fields) - {"search"})
        given["ou"] = unit_path(page, self.ou)
        for name in _NAMES:
            must_exist(page, name, given[name])
        given["policy"] = None if self.policy == ALL_POLICIES else choose_policy(page, self.policy).policy_id
        return given | word_parameters(self.search)


class FindingsQuery(FindingsFilter):
    """A page of the findings."""

    sort: Sort = Field(DEFAULT_SORT, description="Sort order; a leading `-` sorts descending.")
    page: int = Field(1, ge=1, le=1_000_000, description="Page number, from 1.")


def unit_path(page: Page, unit: str | None) -> str | None:
    """Tonight's path of a unit given by its path or id; an unknown id is returned unchanged."""
    found = page.row("unit", ou_id=unit) if unit and UNIT_ID.fullmatch(unit) else None
    return found["ou_path"] if found else unit


def must_exist(page: Page, name: str, value: str | None) -> None:
    """Raise RequestValidationError for a policy, ou, account, region, owner or framework that is not published."""
    if value is None or (name == "policy" and value == ALL_POLICIES):
        return
    nearest = [row["value"] for row in page.rows("findings/nearest", kind=name, value=value)]
    if nearest and nearest[0] == value:
        return
    raise unknown_name(name, value, nearest)


def unknown_name(parameter: str, value: str, nearest: Sequence[str]) -> RequestValidationError:
    """The error for a parameter with a name that is not in the publication; `nearest` are similar names."""
    known = f"Nearest: {', '.join(nearest)}" if nearest else "There are none"
    fault = {
        "type": "unknown",
        "loc": ("query", parameter),
        "msg": f"No such name is published. {known}",
        "input": value,
    }
    return RequestValidationError([fault])
