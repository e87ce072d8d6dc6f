"""The regions of a partition in which ECR is offered."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.permissions import Permission, Role
from ecr_audit.aws.session import Hub

log = logging.getLogger(__name__)

DESCRIBE_REGIONS = Permission(
    (Role.HUB,),
    "ec2:DescribeRegions",
    "the regions of the partition",
    without="the last known regions count, else those of botocore, and newer ones are not audited",
)

# No account can disable these, and none will join them: what AWS opened after 20 March 2019 is opt-in, but for Osaka
# (AWS Account Management Reference Guide, "Enable or disable AWS Regions"). Other partitions have no opt-in regions.
ALWAYS_ENABLED = frozenset(
    {
        *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
        *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    }
)


@dataclass(frozen=True)
class Region:
    """A region in which ECR is offered. Only an opt-in region can be disabled in an account."""

    name: str
    opt_in: bool


@dataclass(frozen=True)
class OfferedRegions:
    """The regions of a partition in which ECR is offered, ordered by name."""

    regions: tuple[Region, ...]
    # None: they are EC2's own, and no others exist. Else why EC2 did not return them: they are then those of botocore,
    # which does not know newer regions.
    doubt: str | None = None


def list_regions(hub: Hub) -> OfferedRegions:
    """The regions of the hub's partition in which ECR is offered.

    EC2 knows all regions of today and which need to be enabled; without leave to ask it (ec2:DescribeRegions), or with
    an answer that cannot be read, botocore's own list serves.
    """
    try:
        named = {
            each.get("RegionName"): each.get("OptInStatus")
            for each in hub.client("ec2").describe_regions(AllRegions=True).get("Regions", ())
        }
        doubt = None if named and all(named) else "the response has no regions, or one without a name"
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        named, doubt = {}, f"{error_code(error)}: {error_message(error)}"
    if doubt:
        log.warning("ec2:DescribeRegions in the hub account: %s. Using botocore's list of regions.", doubt)
        names = hub.access.session.get_available_regions("ecr", hub.partition)
        return OfferedRegions(tuple(region_of(name, hub.partition) for name in sorted(names)), doubt)
    regions = [
        Region(name, opt_in=status != "opt-in-not-required") if status else region_of(name, hub.partition)
        for name, status in sorted(named.items())
    ]
    return OfferedRegions(tuple(regions))


def region_of(name: str, partition: str) -> Region:
    """A region of which only the name is known."""
    return Region(name, opt_in=partition == "aws" and name not in ALWAYS_ENABLED)
