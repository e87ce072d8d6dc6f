"""The hub: its credentials, the organization, and the regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ecr_audit.aws.advice import advice_on_error
from ecr_audit.aws.organization import ACTIVE, Account, list_accounts, organization_id
from ecr_audit.aws.organization import PERMISSIONS as ORGANIZATION_PERMISSIONS
from ecr_audit.aws.regions import DESCRIBE_REGIONS, Region, list_regions
from ecr_audit.aws.session import Hub, HubError
from ecr_audit.doctor.clock import check_clock, is_clock_skew
from ecr_audit.doctor.permissions import listed
from ecr_audit.doctor.results import Result, Status, fail, ok
from ecr_audit.inventory.missing import Missing, not_a_region
from ecr_audit.inventory.plan import ScanScope, missing_accounts, wanted_regions
from ecr_audit.inventory.plan_files import PlanError
from ecr_audit.settings import Settings

Connect = Callable[[], Hub]

CREDENTIALS = "Credentials"
ORGANIZATION = "Organization"
REGIONS = "Regions"


def check_credentials(connect: Connect, settings: Settings) -> tuple[Hub | None, list[Result]]:
    """Connect to the hub and ask who it is; by the answer, or the refusal, also check the clock."""
    answer: Mapping[str, Any] | None = None
    try:
        hub = connect()
        answer = hub.client("sts").get_caller_identity()
    except Exception as error:  # an unknown Airflow connection comes as an exception of Airflow's
        cause = error.__cause__ if isinstance(error, HubError) else error
        if isinstance(cause, ClientError):
            answer = cause.response
        of_time = is_clock_skew(cause or error)
        source = f"Airflow connection '{settings.aws_conn_id}'" if settings.aws_conn_id else "environment's credentials"
        fix = f"Fix the {source} (docs/deploy.md, Settings)."
        if of_time:
            fix = "The cause is the clock: see that check."
        elif not isinstance(error, HubError) and (advice := advice_on_error(error)):
            fix = advice.what_to_do
        return None, [check_clock(answer, of_time), fail(CREDENTIALS, str(error), fix)]
    found = f"{answer['Arn']}, partition {hub.partition}, in region {hub.region} ({hub.region_source})"
    return hub, [check_clock(answer, refused=False), ok(CREDENTIALS, found)]


def check_organization(hub: Hub, settings: Settings) -> tuple[list[Account], str, Result]:
    """Read the organization as a run does. Returns its wanted active accounts (none when it failed) and its id."""
    try:
        its_id = organization_id(hub)
        accounts = list_accounts(hub)
    except HubError as error:
        needed = listed({each.action for each in ORGANIZATION_PERMISSIONS})
        fix = f"Allow {needed} to the hub (hub-role.yaml), in an account that may call it."
        return [], "", fail(ORGANIZATION, str(error), fix)
    try:
        missing = missing_accounts(settings, [account.account_id for account in accounts])
    except PlanError as error:
        return [], its_id, fail(ORGANIZATION, str(error), "Name accounts of the organization, or 'all'.")
    active = [account for account in accounts if account.state == ACTIVE]
    wanted = [account for account in active if not settings.accounts or account.account_id in settings.accounts]
    found = f"{its_id}: {len(accounts)} accounts, {len(active)} of them active"
    if settings.accounts:
        found += f", {len(wanted)} to be audited"
    if missing:
        sentences = " ".join(Missing(accounts=missing).sentences())
        return wanted, its_id, Result(Status.WARN, ORGANIZATION, f"{found}. {sentences}", "Correct ECR_AUDIT_ACCOUNTS.")
    if not wanted:
        fix = "Name active accounts in ECR_AUDIT_ACCOUNTS, or 'all': a night would read no accounts."
        return wanted, its_id, Result(Status.WARN, ORGANIZATION, f"{found}: no active account to audit", fix)
    return wanted, its_id, ok(ORGANIZATION, found)


def check_regions(hub: Hub, settings: Settings) -> tuple[list[Region], Result]:
    """Compare ECR_AUDIT_REGIONS with the partition's regions. Returns the wanted regions; none when it failed."""
    offered = list_regions(hub)
    try:
        is_certain = offered.doubt is None
        regions, missing = wanted_regions(offered.regions, settings, ScanScope(), hub.partition, is_certain=is_certain)
    except PlanError as error:
        return [], fail(REGIONS, str(error), "Correct ECR_AUDIT_REGIONS.")
    found = f"all {len(regions)} of partition {hub.partition}"
    if settings.regions:
        found = ", ".join(region.name for region in regions)
    if missing:
        names = [region.name for region in offered.regions]
        cases = [not_a_region(name, names, hub.partition) for name in missing]
        sentences = " ".join(Missing(regions=missing).sentences())
        return regions, Result(Status.WARN, REGIONS, f"{found}. {sentences}", "Correct ECR_AUDIT_REGIONS.", cases)
    if offered.doubt:
        found += f", from botocore's list, because {DESCRIBE_REGIONS.action} failed for the hub: {offered.doubt}"
        fix = f"Allow {DESCRIBE_REGIONS.action} to the hub (hub-role.yaml). Until then, {DESCRIBE_REGIONS.without}."
        return regions, Result(Status.WARN, REGIONS, found, fix)
    return regions, ok(REGIONS, found)
