"""The hub: its credentials, the organization, and the regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ecr_audit.aws.organization import ACTIVE, Account, Region, list_accounts, list_regions, organization_id
from ecr_audit.aws.session import Hub, HubError
from ecr_audit.doctor.clock import check_clock, is_of_time
from ecr_audit.doctor.results import Result, fail, ok
from ecr_audit.inventory.plan import Limits, PlanError, wanted_regions
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
        of_time = is_of_time(cause or error)
        source = f"Airflow connection '{settings.aws_conn_id}'" if settings.aws_conn_id else "environment's credentials"
        fix = "The clock is to blame: see there." if of_time else f"Mend the {source} (docs/deploy.md, Settings)."
        return None, [check_clock(answer, of_time), fail(CREDENTIALS, str(error), fix)]
    found = f"{answer['Arn']}, partition {hub.partition}, by way of {hub.region}"
    return hub, [check_clock(answer, refused=False), ok(CREDENTIALS, found)]


def check_organization(hub: Hub, settings: Settings) -> tuple[list[Account], str, Result]:
    """Read the organization as a run does. Returns its wanted active accounts (none when it failed) and its id."""
    try:
        its_id = organization_id(hub)
        accounts = list_accounts(hub)
    except HubError as error:
        fix = "Give the hub the permissions of deploy/cloudformation/hub-role.yaml, in an account that may ask."
        return [], "", fail(ORGANIZATION, str(error), fix)
    known = {account.account_id for account in accounts}
    if missing := [account_id for account_id in settings.accounts if account_id not in known]:
        found = f"ECR_AUDIT_ACCOUNTS: no account of organization {its_id}: {', '.join(missing)}"
        return [], its_id, fail(ORGANIZATION, found, "Name accounts of the organization, or 'all'.")
    active = [account for account in accounts if account.state == ACTIVE]
    wanted = [account for account in active if not settings.accounts or account.account_id in settings.accounts]
    found = f"{its_id}: {len(accounts)} accounts, {len(active)} of them active"
    if settings.accounts:
        found += f", {len(wanted)} to be audited"
    return wanted, its_id, ok(ORGANIZATION, found)


def check_regions(hub: Hub, settings: Settings) -> tuple[list[Region], Result]:
    """Compare ECR_AUDIT_REGIONS with what the partition offers. Returns the wanted regions; none when it failed."""
    try:
        regions = wanted_regions(list_regions(hub).regions, settings, Limits(), hub.partition)
    except PlanError as error:
        return [], fail(REGIONS, str(error), "Mend ECR_AUDIT_REGIONS.")
    found = f"all {len(regions)} of partition {hub.partition}"
    if settings.regions:
        found = ", ".join(region.name for region in regions)
    return regions, ok(REGIONS, found)
