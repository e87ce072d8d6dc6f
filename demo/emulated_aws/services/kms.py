"""AWS KMS: DescribeKey, which says who manages a key."""

from __future__ import annotations

import re
from typing import Any

from demo.emulated_aws.authorization import authorize
from demo.emulated_aws.protocols import AwsError, Call

_KEY_ID = re.compile(r"(mrk-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def describe_key(call: Call) -> Any:
    """Describe a key of the caller's account and region, by its id or its ARN."""
    prefix = f"arn:{call.world.partition}:kms:{call.region}:{call.account_id}:key/"
    given = str(call.parameters.get("KeyId", ""))
    arn = given if given.startswith("arn:") else prefix + given
    # The identity's own policy allows keys of its account alone; no key policy of another allows ours.
    authorize(call, "kms:DescribeKey", arn)
    if not arn.startswith(prefix) or _KEY_ID.fullmatch(arn.removeprefix(prefix)) is None:
        raise AwsError("NotFoundException", f"Invalid keyId {given}")
    manager = call.world.key_source(arn)
    if manager is None:
        raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
    return {
        "KeyMetadata": {
            "AWSAccountId": call.account_id,
            "KeyId": arn.removeprefix(prefix),
            "Arn": arn,
            "CreationDate": 1_600_000_000.0,
            "Enabled": True,
            "Description": "",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": "Enabled",
            "Origin": "AWS_KMS",
            "KeyManager": manager,
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
            "MultiRegion": False,
        }
    }


OPERATIONS = {"DescribeKey": describe_key}
