"""Whether a caller may make a call: what service control policies deny, and what the role is not allowed."""

from __future__ import annotations

from demo.emulated_aws.protocols import AwsError, Call
from demo.emulated_aws.world import ADMINISTRATOR_ROLE

# All that the remediation role is allowed, and the Security Hub role (templates in deploy/cloudformation).
_REMEDIATION = ("ecr:DescribeRepositories", "ecr:PutImageTagMutability")
_SECURITY_HUB = ("securityhub:BatchImportFindings",)


def authorize(call: Call, action: str, resource: str) -> None:
    """Refuse a call that the caller may not make, in the words of IAM."""
    if reason := refusal(call, action):
        raise AwsError("AccessDeniedException", denial(call, action, resource, reason))


def refusal(call: Call, action: str) -> str | None:
    """Why the caller may not take an action in the call's region, as the end of IAM's sentence; None: it may."""
    if call.world.is_denied(call.account_id, call.region):
        return "with an explicit deny in a service control policy"
    if call.caller.role != ADMINISTRATOR_ROLE and action in call.world.accounts[call.account_id].denied_actions:
        return not_allowed(action)
    writers = {call.world.remediation_role_name: _REMEDIATION, call.world.security_hub_role_name: _SECURITY_HUB}
    if call.caller.role is not None and action not in writers.get(call.caller.role, (action,)):
        return not_allowed(action)
    return None


def not_allowed(action: str) -> str:
    """The reason for want of a policy that allows the action."""
    return f"because no identity-based policy allows the {action} action"


def denial(call: Call, action: str, resource: str, reason: str) -> str:
    """Word a refusal as IAM does.

    Source: "Troubleshoot access denied error messages", IAM User Guide.
    """
    return f"User: {call.caller.arn} is not authorized to perform: {action} on resource: {resource} {reason}"
