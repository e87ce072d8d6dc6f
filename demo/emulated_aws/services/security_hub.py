"""AWS Security Hub: BatchImportFindings."""

from __future__ import annotations

from typing import Any

from demo.emulated_aws.authorization import authorize, denial, not_allowed
from demo.emulated_aws.protocols import AwsError, Call

_MOST_FINDINGS = 100
_REQUIRED = ("SchemaVersion", "Id", "ProductArn", "GeneratorId", "CreatedAt", "UpdatedAt", "Title", "Description")


def batch_import_findings(call: Call) -> dict[str, Any]:
    """Import findings of the caller's account, by the Security Hub role alone."""
    action, product = "securityhub:BatchImportFindings", _default_product(call)
    authorize(call, action, product)
    if call.caller.role != call.world.security_hub_role_name:
        raise AwsError("AccessDeniedException", denial(call, action, product, not_allowed(action)), 403)
    if (call.account_id, call.region) in call.world.without_security_hub:
        message = f"Account {call.account_id} is not subscribed to AWS Security Hub"
        raise AwsError("InvalidAccessException", message, 401)
    findings = call.parameters.get("Findings", [])
    if not 1 <= len(findings) <= _MOST_FINDINGS:
        raise AwsError("InvalidInputException", f"Invalid parameter 'Findings': it has {len(findings)} members")
    taken = call.world.findings.setdefault((call.account_id, call.region), {})
    failed = []
    for finding in findings:
        if reason := _fault(call, finding):
            failed.append({"Id": finding.get("Id", ""), "ErrorCode": "InvalidInput", "ErrorMessage": reason})
        else:
            taken[finding["Id"]] = finding
    call.world.imports.append((call.account_id, call.region, tuple(each.get("Id", "") for each in findings)))
    return {"FailedCount": len(failed), "SuccessCount": len(findings) - len(failed), "FailedFindings": failed}


def _default_product(call: Call) -> str:
    account = call.account_id
    return f"arn:{call.world.partition}:securityhub:{call.region}:{account}:product/{account}/default"


def _fault(call: Call, finding: dict[str, Any]) -> str | None:
    """Why Security Hub does not take a finding; None: it does."""
    lacking = [name for name in _REQUIRED if not finding.get(name)]
    if lacking:
        return f"Finding does not adhere to Amazon Finding Format. data should have required property {lacking[0]}"
    if finding["ProductArn"] != _default_product(call) or finding.get("AwsAccountId") != call.account_id:
        return f"Account {call.account_id} cannot import findings of {finding['ProductArn']}"
    return None


OPERATIONS = {"BatchImportFindings": batch_import_findings}
