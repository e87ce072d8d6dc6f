"""The environment by which the demo organization is audited: by `make audit`, by Compose and by the tests."""

from __future__ import annotations

from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.organization import EXTERNAL_ID, HOME


def demo_settings(endpoint_url: str) -> dict[str, str]:
    """Variables that lead to the emulated AWS at `endpoint_url`, and the audit's settings for it."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": HUB_ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": HUB_SECRET_ACCESS_KEY,
        "AWS_DEFAULT_REGION": HOME,
        "AWS_EC2_METADATA_DISABLED": "true",
        "ECR_AUDIT_EXTERNAL_ID": EXTERNAL_ID,
        # Some of its accounts cannot be entered; the minimum is set so that its second night passes.
        "ECR_AUDIT_MIN_COVERAGE": "0.85",
    }
