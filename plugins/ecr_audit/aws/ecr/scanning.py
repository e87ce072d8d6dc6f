"""When the images of a repository are scanned: as its registry decides, by filters or by the repository's own setting.

The repository's `scanOnPush` alone is not the answer: a registry's scanning rules apply in its place (Amazon ECR User
Guide, "Scan images for software vulnerabilities").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.parsers import ResponseParserError

from ecr_audit.aws.answers import quoted, text
from ecr_audit.aws.dispatcher import Call, Flow
from ecr_audit.aws.ecr.facet import Declaration, FacetRead, Fault, Registry, read_each
from ecr_audit.aws.ecr.repositories import LONGEST_CHOICE, LONGEST_NAME, Repository
from ecr_audit.aws.outcomes import LONGEST_CODE
from ecr_audit.vocabulary import Facet

# The most names of a call (Amazon ECR API Reference, BatchGetRepositoryScanningConfiguration).
NAMES_PER_CALL = 25

# A name that is not there: deleted since it was listed.
_DELETED = "REPOSITORY_NOT_FOUND"


def _configuration(registry: Registry, repositories: Sequence[Repository]) -> Call:
    names = {"repositoryNames": [each.name for each in repositories]}
    return registry.call("ecr", "batch_get_repository_scanning_configuration", names, "scanningConfigurations")


def _read(registry: Registry, repositories: Sequence[Repository], read: FacetRead) -> Flow:
    arns = {each.name: each.arn for each in repositories}
    groups = [repositories[start : start + NAMES_PER_CALL] for start in range(0, len(repositories), NAMES_PER_CALL)]
    asked = [([each.arn for each in group], _configuration(registry, group)) for group in groups]

    def take(_: Sequence[str], answer: Mapping[str, Any]) -> None:
        for each in _structures(answer["scanningConfigurations"], "scanningConfigurations"):
            arn, frequency = each.get("repositoryArn"), text(each.get("scanFrequency"), LONGEST_CHOICE)
            # Left out, or not text: a value that was not returned, which is not one that the policy can know.
            if isinstance(arn, str) and arn in read.due_set and frequency is not None:
                read.values[arn] = {"scan_frequency": frequency, "scan_filters": _filters(each)}
        for failure in _structures(answer.get("failures") or [], "failures"):
            name, code = failure.get("repositoryName"), text(failure.get("failureCode"), LONGEST_CODE) or "Unknown"
            arn = arns.get(name) if isinstance(name, str) else None
            if arn is None:
                continue
            if code == _DELETED:
                read.gone.add(arn)
                continue
            read.errors[arn] = code
            reason = text(failure.get("failureReason"), LONGEST_NAME) or "no reason given"
            read.fault = read.fault or Fault(code, f"{name}: {reason}")

    yield from read_each(registry, asked, read, take)
    if read.unread and read.fault is None:
        read.fault = Fault("NotReturned", "AWS's response has neither a value nor a failure for it")


SCANNING = Declaration(
    Facet.SCANNING,
    "effective scan frequency of repositories, with the registry's filters that decide it",
    "when images are scanned is not known",
    f"one for each {NAMES_PER_CALL} repositories of a registry",
    ("scan_frequency", "scan_filters"),
    _read,
    lambda registry, repository: [_configuration(registry, [repository])],
)


def _structures(value: object, member: str) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ResponseParserError(f"batch_get_repository_scanning_configuration returned {quoted(value)} for {member}")
    return [each for each in value if isinstance(each, dict)]


def _filters(configuration: Mapping[str, Any]) -> list[str]:
    applied = configuration.get("appliedScanFilters")
    if not isinstance(applied, list):
        return []
    patterns = [text(each.get("filter"), LONGEST_NAME) for each in applied if isinstance(each, dict)]
    return [pattern for pattern in patterns if pattern is not None]
