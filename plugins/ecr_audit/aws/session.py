"""The hub: the account that the audit runs from, its credentials, and its own clients."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from ecr_audit.aws.access import AwsAccess, aws_access
from ecr_audit.aws.outcomes import error_code, error_message

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

    def client(self, service: str) -> Any:
        """A client with the hub's own credentials, in its region, that retries as botocore's standard mode does."""
        retries: Any = {"mode": "standard", "total_max_attempts": 8}
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
        return self.access.client(service, self.region, config)

    def credentials(self) -> ReadOnlyCredentials:
        """The hub's credentials as they are now; refreshed by botocore where their source can refresh."""
        found = self.access.session.get_credentials()
        if found is None:
            raise HubError(NO_CREDENTIALS)
        return found.get_frozen_credentials()


NO_CREDENTIALS = (
    "No AWS credentials for the hub account. Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run "
    "where a role is attached, or name an Airflow connection in ECR_AUDIT_AWS_CONN_ID."
)

# Where STS and Organizations are reached when the environment names no region.
HOME_REGION = "us-east-1"


def connect_hub() -> Hub:
    """Find out who the hub is, on the way to AWS that this process goes.

    The partition comes from the caller's ARN, so that GovCloud and China work without a setting.
    Raises HubError when there are no credentials or they are refused, and what the source of `use_access` raises.
    """
    # At DEBUG it logs requests and answers in whole: session tokens, and the secret keys that AssumeRole gives.
    logging.getLogger("botocore").setLevel(logging.INFO)
    try:
        access = aws_access()
        region = access.region or HOME_REGION
        identity = Hub(access, "", "", region).client("sts").get_caller_identity()
    except ClientError as error:
        raise HubError(f"AWS refuses the hub's credentials: {error_code(error)}: {error_message(error)}") from error
    except BotoCoreError as error:
        if error_code(error) in ("NoCredentialsError", "PartialCredentialsError"):
            raise HubError(NO_CREDENTIALS) from error
        raise HubError(f"AWS cannot be asked who the hub is: {error}") from error
    return Hub(access, identity["Account"], identity["Arn"].split(":")[1], region)
