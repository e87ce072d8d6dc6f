"""Amazon EC2: DescribeRegions, the regions that an account can use."""

from __future__ import annotations

from demo.emulated_aws.authorization import refusal
from demo.emulated_aws.protocols import AwsError, Call


def describe_regions(call: Call) -> str:
    """List the regions that are enabled for the caller's account; with `AllRegions`, the others too."""
    if reason := refusal(call, "ec2:DescribeRegions"):
        raise AwsError(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User: {call.caller.arn} is not authorized to perform: "
            f"ec2:DescribeRegions {reason}",
            403,
        )
    every = call.parameters.get("AllRegions") == "true"
    named = {value for key, value in call.parameters.items() if key.startswith("RegionName.")}
    statuses = _filter_values(call, "opt-in-status")
    items = []
    for region in call.world.regions:
        enabled = call.world.is_enabled(call.account_id, region.name)
        status = "opt-in-not-required" if not region.opt_in else "opted-in" if enabled else "not-opted-in"
        if (enabled or every) and (not named or region.name in named) and (not statuses or status in statuses):
            suffix = "amazonaws.com.cn" if call.world.partition == "aws-cn" else "amazonaws.com"
            items.append(
                f"<item><regionName>{region.name}</regionName>"
                f"<regionEndpoint>ec2.{region.name}.{suffix}</regionEndpoint><optInStatus>{status}</optInStatus></item>"
            )
    return f"<regionInfo>{''.join(items)}</regionInfo>"


def _filter_values(call: Call, name: str) -> set[str]:
    """Return the values of the filter with this name: `Filter.1.Name=…`, `Filter.1.Value.1=…`."""
    prefixes = [
        key.removesuffix("Name") + "Value."
        for key, value in call.parameters.items()
        if key.startswith("Filter.") and key.endswith(".Name") and value == name
    ]
    return {value for key, value in call.parameters.items() if key.startswith(tuple(prefixes))} if prefixes else set()


OPERATIONS = {"DescribeRegions": describe_regions}
