"""The scan of one account x region: all that is read of it, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.answers import Unread
from ecr_audit.aws.dispatcher import Call, Flow, Identity
from ecr_audit.aws.ecr.facet import FacetRead
from ecr_audit.aws.ecr.repositories import Repository, describe_one, describe_repositories, read_repositories
from ecr_audit.aws.outcomes import (
    Outcome,
    error_code,
    error_message,
    error_request_id,
    knows_no_credentials,
    outcome_of_describe,
)
from ecr_audit.vocabulary import Facet


@dataclass
class TargetScan:
    """The result of the scan of one account x region."""

    account_id: str
    region: str
    outcome: Outcome
    # One of each name.
    repositories: list[Repository] = field(default_factory=list)
    error_code: str | None = None
    error_message: str | None = None
    # AWS's id of the call that decided the outcome: the last one that listed repositories or, where it did not come to
    # that, entered the account. None: it was not answered, or not made.
    request_id: str | None = None
    # Those that were to be read.
    facets: dict[Facet, FacetRead] = field(default_factory=dict)


def scan_target(identity: Identity, account_id: str, region: str, *, may_be_disabled: bool) -> Flow:
    """A flow that lists every repository of one account in one region. Returns a TargetScan, without facets.

    `may_be_disabled`: an opt-in region of which the account did not say whether it is enabled, so that the region's own
    word has to do (see `_is_disabled`); and the credentials are such that it can.

    Whatever AWS answers is the scan's outcome, never an exception. A list that breaks off is thrown away: half of it
    would pass for the whole. A value that is nice to have and cannot be read loses no repository: it is reported in the
    error of a target that is COLLECTED all the same.
    """
    unread = Unread()
    try:
        pages = yield from describe_repositories(identity, region)
        repositories = read_repositories(pages.items, account_id, region, unread)
    except AWS_FAULTS as error:
        return (yield from _unread(identity, account_id, region, error, may_be_disabled=may_be_disabled))
    scan = TargetScan(account_id, region, Outcome.COLLECTED, repositories, request_id=pages.request_id)
    if unread.count:
        scan.error_code, scan.error_message = "Repositories.UnreadableValue", f"{unread}."
    return scan


def unread_target(account_id: str, region: str, outcome: Outcome, error: Exception | None) -> TargetScan:
    """The result of a target that was not read, because of an error or without one."""
    if error is None:
        return TargetScan(account_id, region, outcome)
    return TargetScan(
        account_id,
        region,
        outcome,
        error_code=error_code(error),
        error_message=error_message(error),
        request_id=error_request_id(error),
    )


def probe_target(identity: Identity, account_id: str, region: str, *, may_be_disabled: bool) -> Flow:
    """A flow that finds out how `scan_target` would end, by one call for one repository. Returns a TargetScan."""
    try:
        described = yield from describe_one(identity, region)
        repositories = read_repositories(described, account_id, region, Unread())
    except AWS_FAULTS as error:
        return (yield from _unread(identity, account_id, region, error, may_be_disabled=may_be_disabled))
    return TargetScan(account_id, region, Outcome.COLLECTED, repositories)


def _unread(identity: Identity, account_id: str, region: str, error: Exception, *, may_be_disabled: bool) -> Flow:
    """A flow that finds the outcome of a target whose repositories could not be listed. Returns its TargetScan."""
    outcome = outcome_of_describe(error, may_be_disabled=may_be_disabled)
    if may_be_disabled and knows_no_credentials(error) and (yield from _is_disabled(identity, region)):
        outcome = Outcome.REGION_DISABLED
    return unread_target(account_id, region, outcome, error)


def _is_disabled(identity: Identity, region: str) -> Flow:
    """A flow that asks STS in an opt-in region, too, whether it knows the credentials that ECR there does not.

    It must be asked only with credentials that are valid in every region that the account has enabled: a user's keys,
    or a token of a regional endpoint of STS (IAM User Guide, "Manage AWS STS in an AWS Region"). So when two services
    of a region do not know them, the region is not enabled. GetCallerIdentity needs no permission, and no policy can
    deny it (AWS STS API Reference). Any other answer leaves it unknown: False.
    """
    try:
        yield Call(identity, "sts", region, "get_caller_identity", {}, "Account")
    except AWS_FAULTS as error:
        return knows_no_credentials(error)
    return False
