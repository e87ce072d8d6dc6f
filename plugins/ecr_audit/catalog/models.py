"""Models of policies, frameworks and sections: the keys of their YAML files, and fields added by loading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from ecr_audit.vocabulary import NOT_READ, RESERVED_CONDITIONS, Facet, PolicyStatus

# A control or its family in NIST's manner, CM-8(1) and CM, a control of Security Hub in brackets, [ECR.2], or a
# requirement of PCI DSS, 6.2.3.
_NUMBER = re.compile(
    r"(\[(?P<control>[A-Za-z0-9]+\.[0-9]+)\]|(?P<number>[A-Z]{2}(-[0-9]+(\([0-9]+\))?)?|[0-9]+(\.[0-9]+)*)) "
)

Text = Annotated[str, Field(min_length=1)]
PolicyId = Annotated[str, Field(pattern=r"^/ce(/[a-z0-9][a-z0-9.-]*)+$")]
FrameworkId = Annotated[str, Field(pattern=r"^/frameworks/[a-z0-9][a-z0-9.-]*$")]
SectionId = Annotated[str, Field(pattern=r"^/frameworks(/[a-z0-9][a-z0-9.-]*){2,}$")]


def _must_exist(section_id: str, info: ValidationInfo) -> str:
    """The context, if any, validates references to sections (see load.py)."""
    if info.context and (fault := info.context(section_id)):
        raise PydanticCustomError("unknown_section", "{fault}", {"fault": fault})
    return section_id


SectionRef = Annotated[SectionId, AfterValidator(_must_exist)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _not_reserved(index: int) -> int:
    if index in RESERVED_CONDITIONS:
        reserved = ", ".join(map(str, RESERVED_CONDITIONS))
        raise ValueError(f"{reserved} are the engine's. Valid: any other number, by convention 199, 299 and so on")
    return index


class Condition(_Model):
    """A condition of a policy's logic.sql, in words."""

    index: Annotated[int, AfterValidator(_not_reserved)]
    status: PolicyStatus
    when: Text

    @field_validator("status")
    @classmethod
    def _not_read_is_undetermined(cls, status: PolicyStatus, info: ValidationInfo) -> PolicyStatus:
        if info.data.get("index") == NOT_READ and status != "UNDETERMINED":
            raise ValueError(f"Condition {NOT_READ} means that something was not read. Valid: UNDETERMINED")
        return status


class PolicyYaml(_Model):
    """The keys of a `policy.yaml`."""

    id: PolicyId
    name: Text
    contextual_name: Text  # the name where the breadcrumb already says AWS and ECR
    description: Text
    tags: list[Text] = []  # free words, for people
    type: Literal["COMPLIANCE_POLICY"]
    categories: Annotated[
        list[Literal["COST", "OPERATIONS", "PERFORMANCE", "RELIABILITY", "SECURITY"]], Field(min_length=1)
    ]
    flags: list[Literal["production"]]
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
    input: Text = "repositories"  # its objects: a file of sql/staging/objects, with a row per object
    # Shown before all others, and alone where there is room for one policy only; at most one policy has it.
    headline: bool = False
    # Facets of which logic.sql reads a column: words of ECR_AUDIT_COLLECT, or image_tags (ECR_AUDIT_IMAGE_TAGS).
    facets: list[Facet | Literal["image_tags"]] = []
    # Columns that describe its findings; in the findings of other policies they are NULL.
    finding_columns: list[Literal["overwritable_tags", "exclusion_filters"]] = []
    # Settings of image tag mutability that pass. The remediation plan has a row for each finding of a policy with some.
    passing_mutability: list[Literal["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"]] = []
    conditions: Annotated[list[Condition], Field(min_length=1)]  # in the order in which logic.sql tries them
    mappings: list[SectionRef]  # sections that the policy belongs to directly; others inherit it
    ignored_mappings: list[SectionRef] = []  # sections that the policy must not reach, nor pass through
    # The same check elsewhere, "Security Hub ECR.2"; policies that share one are compared (policy_disagreements.sql).
    similar_policies: list[Text] = []
    internal_rules: list[Text] = []  # ids of the organization's own rules that the policy covers


class Policy(PolicyYaml):
    """A policy: its `policy.yaml` and the texts beside it."""

    logic_sql: str
    description_md: str
    remediation_md: str
    policy_yaml: str
    hash: str  # SHA-256 (hex) of policy.yaml and logic.sql: it distinguishes a changed verdict from a changed policy
    folder: str  # relative to sql/: policies/<service>/<policy>


class SectionYaml(_Model):
    """One entry of `sections` in a framework's file."""

    id: SectionId
    title: Text
    parent: SectionId | None = None
    similar: list[SectionId] = []  # this section inherits the policies of those
    withdrawn: bool = False  # published and still numbered, but no longer a requirement


class FrameworkYaml(_Model):
    """The keys of a framework's file. Sections stand in the order in which they are shown."""

    id: FrameworkId
    name: Text
    sections: Annotated[list[SectionYaml], Field(min_length=1)]


@dataclass(frozen=True)
class Section:
    """A section of a framework: a family that groups others, a control, or an enhancement of a control."""

    id: str
    framework_id: str
    title: str
    parent_id: str | None
    similar: list[str]
    withdrawn: bool
    position: int  # from 1, within the framework, depth first: sorting by it shows the tree

    @property
    def number(self) -> str | None:
        """The framework's own number, with which the title begins: CM-2, CM-8(1), ECR.2, 6.2.3; None without one."""
        found = _NUMBER.match(self.title)
        return found["number"] or found["control"] if found else None


@dataclass(frozen=True)
class Framework:
    """A framework with its sections in tree order."""

    id: str
    name: str
    sections: list[Section]


class SectionPolicy(NamedTuple):
    """A policy that a section itself holds, sub-sections not counted."""

    section_id: str
    policy_id: str
    inherited_from: str | None  # the similar section that handed it on; None when the policy is mapped directly
