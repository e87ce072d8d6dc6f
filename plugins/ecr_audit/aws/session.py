"""The hub: the account that the audit runs from, its credentials, and its own clients."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.advice import NO_CREDENTIALS, advice_on_error
from ecr_audit.aws.outcomes import error_code, error_message, knows_no_credentials

CONNECT_SECONDS = 5
# ECR answers in well under a second; what takes longer hangs, and is tried again on a fresh connection.
READ_SECONDS = 20


class HubError(RuntimeError):
    """The hub account cannot be used: no credentials, or a call that the audit cannot do without was refused."""


@dataclass(frozen=True)
class Hub:
    """The account that the audit runs from: the management account, or a delegated administrator."""

    session: boto3.Session
    account_id: str
    partition: str
    region: str
    # What named the region, for people.
    region_source: str = ""
    # By which CloudTrail of the accounts knows who came (`accounts.session_name`).
    session_name: str = "ecr-audit"

    def client(self, service: str) -> Any:
        """A client with the hub's own credentials, in its region, that retries as botocore's standard mode does."""
        retries: Any = {"mode": "standard", "total_max_attempts": 8}
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
        return self.session.client(service, region_name=self.region, config=config)

    def credentials(self) -> ReadOnlyCredentials:
        """The hub's credentials as they are now; refreshed by botocore where their source can refresh."""
        found = self.session.get_credentials()
        if found is None:
            raise HubError(f"{NO_CREDENTIALS.meaning} {NO_CREDENTIALS.fix}")
        return found.get_frozen_credentials()


# What names the region where STS and Organizations are reached, in the order in which the AWS CLI takes it (AWS CLI
# User Guide, "Environment variables"), before the profile's. boto3 by itself reads only the second.
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")

# The region that is taken when nothing names one.
HOME_REGION = "us-east-1"

# A region of each partition, by how the names of its regions begin. STS knows the keys of its own partition only.
PARTITION_REGIONS = {"us-gov-": "us-gov-west-1", "cn-": "cn-north-1", "": "us-east-1"}


def connect_hub(session: boto3.Session | None = None) -> Hub:
    """Find out who the hub is. `session`: from an Airflow connection; default: boto3's own chain.

    The partition comes from the caller's ARN; where to ask for it, from the region (`_home_region`), which has to be of
    the same partition. Raises HubError, which names that region and what named it, when there are no credentials, or
    they are refused, or AWS cannot be reached.
    """
    # At DEBUG it logs requests and answers in whole: session tokens, and the secret keys that AssumeRole gives.
    logging.getLogger("botocore").setLevel(logging.INFO)
    region, source = HOME_REGION, "the default"
    try:
        is_own = session is None
        session = session or boto3.Session(region_name=region_of_environment()[0] or None)
        region, source = _home_region(session, is_own=is_own)
        identity = Hub(session, "", "", region).client("sts").get_caller_identity()
    # ValueError: botocore's, for an endpoint that is not a URL.
    except (ClientError, BotoCoreError, ResponseParserError, ValueError) as error:
        raise HubError(_why_unknown(error, region, source)) from error
    return Hub(session, identity["Account"], identity["Arn"].split(":")[1], region, source)


def region_of_environment() -> tuple[str, str]:
    """The region that a variable names, and the variable; both empty when none does."""
    named = ((os.environ.get(variable, "").strip(), variable) for variable in REGION_VARIABLES)
    return next(((region, variable) for region, variable in named if region), ("", ""))


def _home_region(session: boto3.Session, *, is_own: bool) -> tuple[str, str]:
    """The region where STS and Organizations are reached, and what named it.

    A region of an Airflow connection (`is_own` false) comes before the environment's; AWS's own variables come before a
    profile's.
    """
    region, variable = region_of_environment()
    if session.region_name and not is_own:
        return session.region_name, "by the Airflow connection or its environment"
    if region:
        return region, f"by {variable}"
    if session.region_name:
        return session.region_name, f"by profile {session.profile_name}"
    return HOME_REGION, f"the default, because neither {' nor '.join(REGION_VARIABLES)} nor the profile names one"


def _why_unknown(error: Exception, region: str, source: str) -> str:
    """What to say when AWS did not answer who the hub is."""
    if error_code(error) in ("NoCredentialsError", "PartialCredentialsError"):
        return f"{NO_CREDENTIALS.meaning} {NO_CREDENTIALS.fix}"
    asked = f"AWS was asked in region {region} ({source})."
    if knows_no_credentials(error):
        own = next(prefix for prefix in PARTITION_REGIONS if region.startswith(prefix))
        others = [other for prefix, other in PARTITION_REGIONS.items() if prefix != own]
        fix = (
            "The keys are wrong or deleted; or they are of another partition, which has to be named: set AWS_REGION to"
            f" {' or '.join(others)}; or {region} is an opt-in region that their account has not enabled."
        )
    else:
        advice = advice_on_error(error)
        fix = advice.what_to_do if advice else ""
    if isinstance(error, ClientError):
        found = f"AWS refuses the hub's credentials: {error_code(error)}: {error_message(error)}"
    else:
        found = f"AWS cannot be asked who the hub is: {error}"
    return f"{found.removesuffix('.')}. {asked} {fix}".rstrip()
