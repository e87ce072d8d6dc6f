"""Links to repositories in the AWS console."""

from __future__ import annotations

import re
from urllib.parse import quote

# The console of each partition that has a public one. An ARN begins with its partition (AWS General Reference).
_HOSTS = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


def repository_address(repository_arn: str) -> str | None:
    """The console's page of a private repository; None in a partition whose console is not known, or when
    it is not such an ARN.

    arn:partition:ecr:region:account:repository/name, see "Actions, resources, and condition keys for Amazon ECR".
    """
    arn, _, name = repository_arn.partition(":repository/")
    parts = arn.split(":")
    if len(parts) != 5 or not name or parts[1] not in _HOSTS:
        return None
    region, account_id = parts[3:]
    if not (re.fullmatch("[a-z0-9-]+", region) and re.fullmatch("[0-9]{12}", account_id)):
        return None
    host = f"{region}.{_HOSTS[parts[1]]}"
    return f"https://{host}/ecr/repositories/private/{account_id}/{quote(name, safe='/')}?region={region}"
