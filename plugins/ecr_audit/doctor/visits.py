"""Entering every account once, and trying there each call that a scan makes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ecr_audit.aws.accounts import assume_role_request
from ecr_audit.aws.calls import Pacer
from ecr_audit.aws.organization import Account, Region
from ecr_audit.aws.outcomes import Outcome, outcome_of_describe
from ecr_audit.aws.session import CONNECT_SECONDS, READ_SECONDS, Hub
from ecr_audit.settings import Settings

ASSUME_ROLE = "sts:AssumeRole"
DESCRIBE_REPOSITORIES = "ecr:DescribeRepositories"
GET_RESOURCES = "tag:GetResources"
DESCRIBE_REGIONS = "ec2:DescribeRegions"

# Well under the 600 a second that AWS allows, which a night's run may be using as well.
ACCOUNTS_PER_SECOND = 50
# As many connections as a client of botocore keeps.
THREADS = 10

_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 4},
)


@dataclass(frozen=True)
class Visit:
    """What one account answered: the error of each call that failed, by its IAM action."""

    account: Account
    refusals: Mapping[str, ClientError | BotoCoreError]

    @property
    def is_seen(self) -> bool:
        """Whether a scan would see the account's repositories."""
        return not {ASSUME_ROLE, DESCRIBE_REPOSITORIES} & self.refusals.keys()


def visit_accounts(
    hub: Hub, accounts: Sequence[Account], region: Region, settings: Settings, *, ask_regions: bool
) -> list[Visit]:
    """Enter the accounts, at a pace that AWS allows, and make in a region each call that a scan makes, in small.

    `ask_regions`: whether a scan would ask an account for its enabled regions. In the order of the accounts.
    """
    visitor = _Visitor(hub, region, settings, ask_regions=ask_regions)
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(visitor.visit, accounts))


class _Visitor:
    def __init__(self, hub: Hub, region: Region, settings: Settings, *, ask_regions: bool) -> None:
        self._hub = hub
        self._region = region
        self._settings = settings
        self._ask_regions = ask_regions
        self._sts = hub.client("sts")
        self._pacer = Pacer(ACCOUNTS_PER_SECOND)
        # Making clients is not thread-safe, and calling them is.
        self._making = threading.Lock()

    def visit(self, account: Account) -> Visit:
        refusals: dict[str, ClientError | BotoCoreError] = {}
        try:
            credentials = self._enter(account)
        except (ClientError, BotoCoreError) as error:
            return Visit(account, {ASSUME_ROLE: error})
        for action, service, region, method, parameters in self._calls():
            with self._making:
                client = self._hub.access.client(service, region, _CONFIG, **credentials)
            try:
                getattr(client, method)(**parameters)
            except (ClientError, BotoCoreError) as error:
                if not self._is_disabled(action, error):
                    refusals[action] = error
            finally:
                client.close()
        return Visit(account, refusals)

    def _enter(self, account: Account) -> dict[str, Any]:
        """Credentials for the account, as boto3 takes them: of its audit role, or in the hub account the hub's own."""
        if account.account_id == self._hub.account_id:
            own = self._hub.credentials()
            return _keys(own.access_key, own.secret_key, own.token)
        self._pacer.wait()
        settings = self._settings
        request = assume_role_request(self._hub, account.account_id, settings.role_name, settings.external_id)
        given = self._sts.assume_role(**request)["Credentials"]
        return _keys(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def _calls(self) -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
        region = self._region.name
        yield DESCRIBE_REPOSITORIES, "ecr", region, "describe_repositories", {"maxResults": 1}
        if self._settings.collect_tags:
            few = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 1}
            yield GET_RESOURCES, "resourcegroupstaggingapi", region, "get_resources", few
        if self._ask_regions:
            yield DESCRIBE_REGIONS, "ec2", self._hub.region, "describe_regions", {}

    def _is_disabled(self, action: str, error: Exception) -> bool:
        """Whether the account has just not enabled the region, which is no fault."""
        outcome = outcome_of_describe(error, opt_in_region=self._region.opt_in)
        return action != DESCRIBE_REGIONS and outcome is Outcome.REGION_DISABLED


def _keys(key_id: str | None, secret: str | None, token: str | None) -> dict[str, Any]:
    return {"aws_access_key_id": key_id, "aws_secret_access_key": secret, "aws_session_token": token}
