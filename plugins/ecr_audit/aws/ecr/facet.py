"""Facets: values of repositories and registries that are read by calls of their own. The form of a declaration, and of
the values that were read.

From a declaration follow the calls of a night, the columns of the lake, the doctor's probe, the permission in the
roles and its row in docs/policies.md. They are gathered in `facets`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.dispatcher import Call, Calls, Flow, Identity
from ecr_audit.aws.ecr.facet_permissions import FACET_PERMISSIONS
from ecr_audit.aws.ecr.repositories import Repository
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.permissions import Permission
from ecr_audit.vocabulary import ROTATED_FACETS, Facet

# Calls that are made before the flow looks whether to go on, in rounds of as many as are made at once.
_ROUNDS = 8


@dataclass(frozen=True)
class Registry:
    """ECR in one account x region, as its facets are read."""

    identity: Identity
    account_id: str
    region: str
    # The most calls that are made at once: AWS counts its limits per account and region.
    at_once: int

    def call(self, service: str, method: str, parameters: Mapping[str, Any], expects: str) -> Call:
        """A call to a service in the registry's region."""
        return Call(self.identity, service, self.region, method, parameters, expects)


@dataclass(frozen=True)
class Fault:
    """Why some objects could not be read."""

    error_code: str
    error_message: str


@dataclass
class FacetRead:
    """The values of a facet that were read in one registry so far: it can be cut off at any time.

    Objects are identified by ARN: repositories; the registry itself; keys.
    """

    # Those that were to be read tonight.
    due: Sequence[str] = ()
    # The values of each object that was read, by column of its table.
    values: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    # Why an object was not, where that is known of it alone.
    errors: dict[str, str] = field(default_factory=dict)
    # Objects that are gone since they were listed.
    gone: set[str] = field(default_factory=set)
    # The first fault of the facet.
    fault: Fault | None = None

    def take_error(self, objects: Iterable[str], error: Exception) -> None:
        """Note why objects could not be read. Raises what is not an answer of AWS: a fault of the program."""
        if not isinstance(error, AWS_FAULTS):
            raise error
        self.errors |= dict.fromkeys(objects, error_code(error))
        self.fault = self.fault or Fault(error_code(error), error_message(error))

    def cut_off(self, fault: Fault) -> None:
        """The time is up: what was not read counts as failed."""
        if self.unread and self.fault is None:
            self.fault = fault

    @property
    def unread(self) -> list[str]:
        """Objects that were to be read, are there, and were not read."""
        return [each for each in self.due if each not in self.values and each not in self.gone]

    def error_of(self, arn: str) -> str | None:
        """Why an object was not read; None: it was, it was not to be, or it is gone."""
        if self.fault is None or arn in self.values or arn in self.gone:
            return None
        return self.errors.get(arn) or (self.fault.error_code if arn in self.due_set else None)

    @cached_property
    def due_set(self) -> frozenset[str]:
        """`due`, to look up in."""
        return frozenset(self.due)


@dataclass(frozen=True)
class Declaration:
    """A facet: which columns it fills, and how it is read."""

    facet: Facet
    # A noun for it, for people.
    what: str
    # The consequence of not reading it, as the rest of a sentence.
    without: str
    # How many calls a night, for people: "one for each 25 repositories".
    calls: str
    columns: tuple[str, ...]
    # A flow that reads those of the repositories, or of the registry, that are `due`, into the FacetRead.
    read: Callable[[Registry, Sequence[Repository], FacetRead], Flow]
    # The calls by which the doctor finds out whether a role may read it; given one repository of the registry.
    probe: Callable[[Registry, Repository], Sequence[Call]]

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """Those that its calls need."""
        return FACET_PERMISSIONS[self.facet]

    @property
    def rotates(self) -> bool:
        """Whether each object is read in ECR_AUDIT_COLLECT_ROTATION_NIGHTS once only."""
        return self.facet in ROTATED_FACETS

    @property
    def read_at(self) -> str:
        """The column with the time when the values were read."""
        return f"{self.facet}_read_at"


def read_each(
    registry: Registry,
    asked: Sequence[tuple[Sequence[str], Call]],
    read: FacetRead,
    take: Callable[[Sequence[str], Mapping[str, Any]], None],
    on_error: Callable[[Sequence[str], Exception], bool] | None = None,
) -> Flow:
    """A flow that makes calls, each for some objects (ARNs), and hands each answer to `take`.

    `on_error` returns True for an error that is an answer. Ends early when nothing of a group of calls succeeds: a role
    that lacks a permission costs some calls, not one for each repository. The first group is small for the same reason.
    """
    start, size = 0, registry.at_once
    while start < len(asked):
        group = asked[start : start + size]
        answers = yield Calls([call for _, call in group], registry.at_once)
        succeeded = False
        for (objects, _), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                if on_error is not None and on_error(objects, answer):
                    succeeded = True
                else:
                    read.take_error(objects, answer)
                continue
            try:
                take(objects, answer)
                succeeded = True
            except AWS_FAULTS as error:
                read.take_error(objects, error)
        if not succeeded:
            return
        start, size = start + size, registry.at_once * _ROUNDS
