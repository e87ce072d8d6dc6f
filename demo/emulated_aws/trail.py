"""CloudTrail's log files: their keys, their form, and the records of ECR's calls that change what a tag points to.

Sources: "Getting and viewing your CloudTrail log files", "CloudTrail log file examples" and "CloudTrail record
contents", AWS CloudTrail User Guide; "Logging Amazon ECR actions with AWS CloudTrail", Amazon ECR User Guide.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# Some record that is not about images: most are not.
OTHER_CALL = "DescribeRepositories"


@dataclass(frozen=True)
class Caller:
    """Who makes calls: a session of a role, unless an identity is given as CloudTrail writes it."""

    role: str = "ci"
    session: str = "build-1"
    source_address: str = "198.51.100.7"
    user_agent: str = "docker/28.1.1 go/go1.23.8"

    def identity(self, account_id: str) -> dict[str, Any]:
        """The record's userIdentity, of an assumed role."""
        return {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE:{self.session}",
            "arn": f"arn:aws:sts::{account_id}:assumed-role/{self.role}/{self.session}",
            "accountId": account_id,
            "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": "AROAEXAMPLE",
                    "arn": f"arn:aws:iam::{account_id}:role/{self.role}",
                    "accountId": account_id,
                    "userName": self.role,
                },
                "attributes": {"creationDate": "2026-11-01T00:00:00Z", "mfaAuthenticated": "false"},
            },
        }


@dataclass(frozen=True)
class Place:
    """A repository, as calls name it."""

    account_id: str
    region: str
    repository_name: str


CI = Caller()


def put_image(place: Place, at: datetime, tag: str, digest: str, caller: Caller = CI) -> dict[str, Any]:
    """The record of a push."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"})
    asked = {"imageManifest": manifest, "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json"}
    image = {"imageId": {"imageDigest": digest, "imageTag": tag}, "imageManifest": manifest, **_registry(place)}
    return record(place, at, "PutImage", {**asked, "imageTag": tag}, {"image": image}, caller)


def delete_image(place: Place, at: datetime, tag: str, digest: str, caller: Caller = CI) -> dict[str, Any]:
    """The record of a deletion by tag."""
    deleted = {"imageIds": [{"imageDigest": digest, "imageTag": tag}], "failures": []}
    return record(place, at, "BatchDeleteImage", {"imageIds": [{"imageTag": tag}]}, deleted, caller)


def put_mutability(
    place: Place, at: datetime, setting: str, filters: Sequence[str] = (), caller: Caller = CI
) -> dict[str, Any]:
    """The record of a changed setting."""
    asked: dict[str, Any] = {"imageTagMutability": setting}
    if filters:
        asked["imageTagMutabilityExclusionFilters"] = [{"filterType": "WILDCARD", "filter": each} for each in filters]
    return record(place, at, "PutImageTagMutability", asked, {**_registry(place), **asked}, caller)


def record(
    place: Place,
    at: datetime,
    name: str,
    parameters: dict[str, Any],
    response: dict[str, Any] | None,
    caller: Caller = CI,
) -> dict[str, Any]:
    """The record of a call to ECR."""
    unique = hashlib.sha256(f"{place} {at} {name} {parameters}".encode()).hexdigest()
    return {
        "eventVersion": "1.11",
        "userIdentity": caller.identity(place.account_id),
        "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": "ecr.amazonaws.com",
        "eventName": name,
        "awsRegion": place.region,
        "sourceIPAddress": caller.source_address,
        "userAgent": caller.user_agent,
        "requestParameters": {**_registry(place), **parameters},
        "responseElements": response,
        "requestID": unique[:32],
        "eventID": f"{unique[:8]}-{unique[8:12]}-{unique[12:16]}-{unique[16:20]}-{unique[20:32]}",
        "readOnly": name.startswith(("Describe", "Get", "List")),
        "resources": [
            {
                "accountId": place.account_id,
                "ARN": f"arn:aws:ecr:{place.region}:{place.account_id}:repository/{place.repository_name}",
            }
        ],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": place.account_id,
        "eventCategory": "Management",
    }


def log_file(records: Iterable[dict[str, Any]]) -> bytes:
    """The content of a log file."""
    return gzip.compress(json.dumps({"Records": list(records)}, separators=(",", ":")).encode())


def log_file_key(account_id: str, region: str, delivered: datetime, organization_id: str = "") -> str:
    """The key of a log file, below the trail's prefix; without an organization, that of an account's trail."""
    base = f"AWSLogs/{organization_id}/" if organization_id else "AWSLogs/"
    unique = hashlib.sha256(f"{account_id} {region} {delivered}".encode()).hexdigest()[:16]
    name = f"{account_id}_CloudTrail_{region}_{delivered:%Y%m%dT%H%M}Z_{unique}.json.gz"
    return f"{base}{account_id}/CloudTrail/{region}/{delivered:%Y/%m/%d}/{name}"


def _registry(place: Place) -> dict[str, str]:
    return {"registryId": place.account_id, "repositoryName": place.repository_name}
