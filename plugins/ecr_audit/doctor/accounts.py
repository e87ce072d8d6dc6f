"""What the visits to the accounts tell: where the audit is refused, and what is the likely cause."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_audit.aws.organization import Account, Region
from ecr_audit.aws.outcomes import DENIED, error_code, error_message
from ecr_audit.aws.session import Hub
from ecr_audit.doctor.clock import FIX as SET_THE_CLOCK
from ecr_audit.doctor.clock import is_of_time
from ecr_audit.doctor.results import Result, Status, ok
from ecr_audit.doctor.visits import (
    ASSUME_ROLE,
    DESCRIBE_REGIONS,
    DESCRIBE_REPOSITORIES,
    GET_RESOURCES,
    Visit,
    visit_accounts,
)
from ecr_audit.settings import Settings

ROLE = "Role in the accounts"
REPOSITORIES = "Repositories"
TAGS = "Tags"
ENABLED_REGIONS = "Enabled regions"


def check_accounts(
    hub: Hub, accounts: Sequence[Account], regions: Sequence[Region], settings: Settings
) -> list[Result]:
    """Visit the accounts in one of the regions, and tell of each kind of call where it is refused."""
    region = _region_to_try(hub, regions)
    ask_regions = any(each.opt_in for each in regions)
    visits = visit_accounts(hub, accounts, region, settings, ask_regions=ask_regions)
    share = sum(visit.is_seen for visit in visits) / len(visits)
    blind = Status.WARN if share >= settings.min_coverage else Status.FAIL
    members = [visit for visit in visits if visit.account.account_id != hub.account_id]
    entered = [visit for visit in visits if ASSUME_ROLE not in visit.refusals]
    results = [_role_result(members, hub, settings, blind)]
    results.append(
        _call_result(
            *(REPOSITORIES, DESCRIBE_REPOSITORIES, entered, region.name, blind),
            fix="Let the audit role list repositories (deploy/cloudformation/audit-role.yaml; in the hub account, "
            "hub-role.yaml). Where AWS names a service control policy, that one closes the region.",
        )
    )
    if settings.collect_tags:
        fix = "Allow it to the audit role, or set ECR_AUDIT_COLLECT_TAGS=false. Until then, last known owners count."
        results.append(_call_result(TAGS, GET_RESOURCES, entered, region.name, Status.WARN, fix=fix))
    if ask_regions:
        fix = "Allow it to the audit role. Until then, opt-in regions are tried one by one there."
        results.append(_call_result(ENABLED_REGIONS, DESCRIBE_REGIONS, entered, hub.region, Status.WARN, fix=fix))
    return results


def _region_to_try(hub: Hub, regions: Sequence[Region]) -> Region:
    """The hub's own region where it is audited, else one that every account has enabled, else any."""
    return min(regions, key=lambda region: (region.name != hub.region, region.opt_in))


def _role_result(members: Sequence[Visit], hub: Hub, settings: Settings, blind: Status) -> Result:
    refused = [visit for visit in members if ASSUME_ROLE in visit.refusals]
    role = f"role {settings.role_name}"
    if not members:
        return ok(ROLE, "the hub's is the only account to be audited")
    if not refused:
        return ok(ROLE, f"{role} entered in all {len(members)} accounts")
    errors = [visit.refusals[ASSUME_ROLE] for visit in refused]
    found = f"{role} entered in {len(members) - len(refused)} of {len(members)} accounts, refused in"
    cases = _cases(refused, ASSUME_ROLE)
    if any(is_of_time(error) for error in errors):
        return Result(blind, ROLE, f"{found}: clock skew", SET_THE_CLOCK, cases)
    if not all(error_code(error) in DENIED for error in errors):
        return Result(blind, ROLE, f"{found}:", "Not all of it is a refusal: see what AWS answered.", cases)
    # AWS says this only when it is the caller's own policy that lacks the permission.
    if any("identity-based policy" in error_message(error) for error in errors):
        fix = (
            f"Allow sts:AssumeRole on arn:{hub.partition}:iam::*:role/{settings.role_name} to the hub (hub-role.yaml)."
        )
        return Result(blind, ROLE, f"{found}: the hub itself may not assume it", fix, cases)
    if len(refused) == len(members):
        return Result(blind, ROLE, f"{role} is refused in all {len(members)} accounts", _fix_of_all(settings), cases)
    fix = (
        "Since others let the hub in, its own permission and the external id are right: create the role there (a "
        "StackSet reaches neither the management account nor accounts outside its units), or mend its trust."
    )
    return Result(blind, ROLE, f"{found}:", fix, cases)


def _fix_of_all(settings: Settings) -> str:
    """AWS answers a missing role, a wrong external id and a role that trusts somebody else in one and the same way."""
    external_id = (
        "ECR_AUDIT_EXTERNAL_ID is not the external id that the role asks for"
        if settings.external_id
        else "ECR_AUDIT_EXTERNAL_ID is not set and the role asks for an external id"
    )
    return (
        f"AWS does not say why. When all accounts refuse: {external_id}; or the role trusts another hub; or "
        f"ECR_AUDIT_ROLE_NAME ({settings.role_name}) names a role that is nowhere (one with a path is given with it: "
        "/security/ecr-audit); or the hub may not assume it."
    )


def _call_result(title: str, action: str, entered: Sequence[Visit], region: str, bad: Status, *, fix: str) -> Result:
    if not entered:
        return Result(Status.SKIPPED, title, "not checked: no account could be entered")
    refused = [visit for visit in entered if action in visit.refusals]
    if not refused:
        return ok(title, f"{action} answered in {region}, in all {len(entered)} accounts that were entered")
    if any(is_of_time(visit.refusals[action]) for visit in refused):
        fix = SET_THE_CLOCK
    found = f"{action} in {region} fails in {len(refused)} of {len(entered)} accounts:"
    return Result(bad, title, found, fix, _cases(refused, action))


def _cases(visits: Sequence[Visit], action: str) -> list[str]:
    return [
        f"{visit.account.account_id} {visit.account.name}: {error_code(visit.refusals[action])}: "
        f"{error_message(visit.refusals[action])}"
        for visit in visits
    ]
