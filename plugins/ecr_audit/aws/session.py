"""The hub: the account that the audit runs from, its credentials, and its own clients."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.access import REGION_VARIABLES, AwsAccess, aws_access, named_access, region_of_environment
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

    access: AwsAccess
    account_id: str
    partition: str
    region: str
    # The source of the region, for people.
    region_source: str = ""
    # By which CloudTrail of the accounts knows who came (`accounts.session_name`).
    session_name: str = "ecr-audit"

    def client(self, service: str) -> Any:
        """A client with the hub's own credentials, in its region, that retries as botocore's standard mode does."""
        retries: Any = {"mode": "standard", "total_max_attempts": 8}
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
        return self.access.client(service, self.region, config)

    def credentials(self) -> ReadOnlyCredentials:
        """The hub's credentials as they are now; refreshed by botocore where their source can refresh."""
        found = self.access.session.get_credentials()
        if found is None:
            raise HubError(f"{NO_CREDENTIALS.meaning} {NO_CREDENTIALS.fix}")
        return found.get_frozen_credentials()


# The region that is taken when nothing names one.
HOME_REGION = "us-east-1"

# A region of each partition, by how the names of its regions begin. STS knows the keys of its own partition only.
PARTITION_REGIONS = {"us-gov-": "us-gov-west-1", "cn-": "cn-north-1", "": "us-east-1"}


def connect_hub() -> Hub:
    """Find out who the hub is, on the way to AWS that this process goes.

    The partition comes from the caller's ARN; where to ask for it, from the region (`_home_region`), which has to be of
    the same partition. Raises HubError, which names that region and what named it, when there are no credentials, or
    they are refused, or AWS cannot be reached; and errors of the source of `use_access`.
    """
    # At DEBUG it logs requests and answers in whole: session tokens, and the secret keys that AssumeRole gives.
    logging.getLogger("botocore").setLevel(logging.INFO)
    region, source = HOME_REGION, "the default"
    try:
        access = aws_access()
        region, source = _home_region(access)
        identity = Hub(access, "", "", region).client("sts").get_caller_identity()
    # ValueError: botocore's, for an endpoint that is not a URL.
    except (ClientError, BotoCoreError, ResponseParserError, ValueError) as error:
        raise HubError(_why_unknown(error, region, source)) from error
    return Hub(access, identity["Account"], identity["Arn"].split(":")[1], region, source)


def _home_region(access: AwsAccess) -> tuple[str, str]:
    """The region where STS and Organizations are reached, and what named it.

    A region of an Airflow connection comes before the environment's; AWS's own variables come before a profile's.
    """
    if access.region is None:
        return HOME_REGION, f"the default, because neither {' nor '.join(REGION_VARIABLES)} nor the profile names one"
    if named_access() is not None:
        return access.region, "by the Airflow connection or its environment"
    _, variable = region_of_environment()
    return access.region, f"by {variable}" if variable else f"by profile {access.session.profile_name}"


def _why_unknown(error: Exception, region: str, source: str) -> str:
    """The message when the hub's identity could not be read."""
    if error_code(error) in ("NoCredentialsError", "PartialCredentialsError"):
        return f"{NO_CREDENTIALS.meaning} {NO_CREDENTIALS.fix}"
    asked = f"The region is {region} ({source})."
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
        found = f"AWS rejects the hub's credentials: {error_code(error)}: {error_message(error)}"
    else:
        found = f"The hub's identity could not be read from AWS: {error}"
    return f"{found.removesuffix('.')}. {asked} {fix}".rstrip()
