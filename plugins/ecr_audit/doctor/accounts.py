"""Checks of the accounts: where a night could not read, how much that is, and the likely cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from ecr_audit.aws.accounts import ASSUME_ROLE, DESCRIBE_REGIONS
from ecr_audit.aws.advice import distinct_advice
from ecr_audit.aws.ecr.facet_permissions import LIST_IMAGES
from ecr_audit.aws.ecr.facets import FACETS
from ecr_audit.aws.ecr.repositories import DESCRIBE_REPOSITORIES
from ecr_audit.aws.ecr.target import TargetScan
from ecr_audit.aws.organization import Account
from ecr_audit.aws.outcomes import (
    NOT_COUNTABLE,
    Outcome,
    error_code,
    error_message,
    is_enough,
    outcome_of_assume_role,
    outcome_of_describe,
    share_read,
)
from ecr_audit.aws.permissions import DENIED, Permission
from ecr_audit.aws.regions import Region
from ecr_audit.aws.session import Hub
from ecr_audit.catalog import CatalogError, load_catalog
from ecr_audit.doctor.image_tags import IMAGE_TAGS
from ecr_audit.doctor.permissions import consequence
from ecr_audit.doctor.probe import Visit, visit_accounts
from ecr_audit.doctor.results import Result, Status, ok
from ecr_audit.settings import SQL_ROOT, Settings
from ecr_audit.text import percent
from ecr_audit.vocabulary import Facet, ImageTags

ROLE = "Role in the accounts"
REPOSITORIES = "Repositories"
ENABLED_REGIONS = "Enabled regions"

_ALLOW = "Allow it to the audit role (in the hub's account, to the hub)"


def check_accounts(
    hub: Hub, accounts: Sequence[Account], regions: Sequence[Region], settings: Settings
) -> list[Result]:
    """Visit the accounts in all regions; a result for each kind of call, with where it fails.

    Coverage under the minimum of a night (ECR_AUDIT_MIN_COVERAGE) fails, other gaps are a warning.
    """
    visits = visit_accounts(hub, accounts, regions, settings)
    members = [visit for visit in visits if visit.account.account_id != hub.account_id]
    entered = [visit for visit in visits if ASSUME_ROLE.action not in visit.refusals]
    collected, countable = _seen(visits)
    members_seen, members_countable = _seen(members)
    enough = is_enough(collected, countable, settings.min_coverage) and (members_seen or not members_countable)
    blind = Status.WARN if enough else Status.FAIL
    results = [_role_result(members, hub, settings, blind), _repositories_result(entered, regions, blind)]
    if countable:
        share, minimum = 100 * share_read(collected, countable), 100 * settings.min_coverage
        coverage = f"a night would read {percent(share, minimum)} (ECR_AUDIT_MIN_COVERAGE: {percent(minimum, share)})"
        results = [
            replace(each, found=f"{coverage}: {each.found}") if each.status is blind else each for each in results
        ]
    results += [
        _facet_result(declaration.facet, permission, entered)
        for declaration in FACETS
        if declaration.facet in settings.collect
        for permission in declaration.permissions
    ]
    if settings.image_tags is not ImageTags.OFF:
        results.append(_image_tags_result(entered))
    if any(region.opt_in for region in regions):
        fix = f"{_ALLOW}. Until then, {consequence(DESCRIBE_REGIONS)}."
        results.append(_call_result(ENABLED_REGIONS, DESCRIBE_REGIONS, entered, fix))
    return results


def _seen(visits: Sequence[Visit]) -> tuple[int, int]:
    """How many targets of the accounts a night would read, and how many of them count."""
    outcomes = [target.outcome for visit in visits for target in visit.targets if target.outcome not in NOT_COUNTABLE]
    return outcomes.count(Outcome.COLLECTED), len(outcomes)


def _role_result(members: Sequence[Visit], hub: Hub, settings: Settings, blind: Status) -> Result:
    refused = [visit for visit in members if ASSUME_ROLE.action in visit.refusals]
    role, everywhere = f"role {settings.role_name}", f"all {len(members)} accounts besides the hub"
    if not members:
        return ok(ROLE, "the hub account is the only one to audit")
    if not refused:
        return ok(ROLE, f"{role} assumed in {everywhere}")
    errors = [visit.refusals[ASSUME_ROLE.action] for visit in refused]
    found = f"{role} assumed in {len(members) - len(refused)} of {len(members)} accounts besides the hub, not in"
    cases = _cases(refused, ASSUME_ROLE)
    if not all(error_code(error) in DENIED for error in errors):
        met = [(outcome_of_assume_role(error), error_code(error), error_message(error)) for error in errors]
        return Result(blind, ROLE, f"{found}:", _fix(met), cases)
    # AWS says this only when it is the caller's own policy that lacks the permission.
    if any("identity-based policy" in error_message(error) for error in errors):
        on = f"arn:{hub.partition}:iam::*:role/{settings.role_name}"
        fix = f"Allow {ASSUME_ROLE.action} on {on} to the hub (hub-role.yaml)."
        return Result(blind, ROLE, f"{found}: the hub itself may not assume it", fix, cases)
    if len(refused) == len(members):
        return Result(blind, ROLE, f"{role} is refused in {everywhere}", _fix_of_all(settings), cases)
    fix = (
        "Since other accounts trust the hub, its permission and the external id are right: create the role there (a "
        "StackSet reaches neither the management account nor accounts outside its units), or fix its trust."
    )
    return Result(blind, ROLE, f"{found}:", fix, cases)


def _fix_of_all(settings: Settings) -> str:
    """AWS returns the same error for a missing role, a wrong external id and a role that does not trust the hub."""
    external_id = (
        "ECR_AUDIT_EXTERNAL_ID is not the external id that the role requires"
        if settings.external_id
        else "ECR_AUDIT_EXTERNAL_ID is not set and the role requires an external id"
    )
    role = f"ECR_AUDIT_ROLE_NAME ({settings.role_name})"
    if "role_name" not in settings.model_fields_set:
        role = f"ECR_AUDIT_ROLE_NAME is not set, and its default ({settings.role_name})"
    return (
        f"AWS gives no reason. When all accounts refuse: {external_id}; or the role trusts another hub; or {role}"
        " names a role that does not exist (a role with a path needs it: /security/ecr-audit); or the hub may not"
        " assume it."
    )


def _repositories_result(entered: Sequence[Visit], regions: Sequence[Region], blind: Status) -> Result:
    if not entered:
        return Result(Status.SKIPPED, REPOSITORIES, "not checked: no account's role could be assumed")
    countable = [
        (visit.account, target) for visit in entered for target in visit.targets if target.outcome not in NOT_COUNTABLE
    ]
    names = ", ".join(region.name for region in regions)
    if not countable:
        found = f"none of {len(entered)} accounts has enabled an audited region ({names})"
        return Result(Status.FAIL, REPOSITORIES, found, "Check ECR_AUDIT_REGIONS: 'all' audits every region.")
    unread = [(account, target) for account, target in countable if target.outcome is not Outcome.COLLECTED]
    if not unread:
        where = f"in all {len(countable)} account-regions that are enabled"
        return ok(REPOSITORIES, f"{DESCRIBE_REPOSITORIES.action} answered {where}, in {len(entered)} accounts")
    action, where = DESCRIBE_REPOSITORIES.action, "account-regions of accounts that could be entered"
    found = f"{action} fails in {len(unread)} of {len(countable)} {where}:"
    met = [(target.outcome, target.error_code, target.error_message) for _, target in unread]
    return Result(blind, REPOSITORIES, found, _fix(met), _target_cases(unread))


def _facet_result(facet: Facet, permission: Permission, entered: Sequence[Visit]) -> Result:
    """The result of a facet's call, in the accounts that have something to ask for."""
    title = facet.capitalize()
    fix = f"{_ALLOW}: Read{title}=true (Terraform: facets). Until then, {consequence(permission)}"
    if policies := _policies_of(facet):
        fix += f"; {' and '.join(policies)} cannot be judged there"
    return _optional_result(title, permission, entered, f"{fix}.")


def _image_tags_result(entered: Sequence[Visit]) -> Result:
    fix = f"{_ALLOW}: ReadImageTags=true (Terraform: read_image_tags). Until then, {consequence(LIST_IMAGES)}."
    return _optional_result(IMAGE_TAGS, LIST_IMAGES, entered, fix)


def _optional_result(title: str, permission: Permission, entered: Sequence[Visit], fix: str) -> Result:
    """The result of a call in the accounts that have something to ask for."""
    asked = [visit for visit in entered if permission.action in visit.tried]
    if entered and not asked:
        found = f"{permission.action} not checked: no repository that was found in the accounts has anything to ask for"
        return Result(Status.SKIPPED, title, found)
    return _call_result(title, permission, asked, fix)


def _policies_of(facet: Facet) -> list[str]:
    """The names of the policies that need a facet."""
    try:
        policies = load_catalog(SQL_ROOT).policies
    except CatalogError as error:
        # The accounts' faults are worth more than the names.
        return [f"the policies that need it ({error})"]
    return [f"'{policy.contextual_name}'" for policy in policies if facet in policy.facets]


def _call_result(title: str, permission: Permission, asked: Sequence[Visit], fix: str) -> Result:
    """The result of a call that a night can do without; `fix`: what to do where it is denied."""
    if not asked:
        return Result(Status.SKIPPED, title, "not checked: no account's role could be assumed")
    action = permission.action
    refused = [visit for visit in asked if action in visit.refusals]
    if not refused:
        return ok(title, f"{action} answered in all {len(asked)} accounts that could be asked")
    errors = [visit.refusals[action] for visit in refused]
    if not all(error_code(error) in DENIED for error in errors):
        fix = _fix(
            [
                (outcome_of_describe(error, may_be_disabled=False), error_code(error), error_message(error))
                for error in errors
            ]
        )
    found = f"{action} fails in {len(refused)} of {len(asked)} accounts:"
    return Result(Status.WARN, title, found, fix, _cases(refused, permission))


def _fix(met: Iterable[tuple[str, str | None, str | None]]) -> str:
    """What to do about all that was met."""
    advice = distinct_advice(met)
    if len(advice) == 1:
        return advice[0][1].what_to_do
    return " ".join(f"{about}: {each.what_to_do}" for about, each in advice)


def _cases(visits: Sequence[Visit], permission: Permission) -> list[str]:
    errors = [(visit.account, visit.refusals[permission.action]) for visit in visits]
    return [f"{each.account_id} {each.name}: {error_code(error)}: {error_message(error)}" for each, error in errors]


def _target_cases(unread: Sequence[tuple[Account, TargetScan]]) -> list[str]:
    """A line for each account and error code, with its regions and, since AWS names the region in it, one message."""
    cases = []
    for account, of_account in groupby(unread, key=lambda each: each[0]):
        by_code: dict[str | None, list[TargetScan]] = {}
        for _, target in of_account:
            by_code.setdefault(target.error_code, []).append(target)
        for code, targets in by_code.items():
            regions = ", ".join(target.region for target in targets)
            cases.append(f"{account.account_id} {account.name}, {regions}: {code}: {targets[0].error_message}")
    return cases
