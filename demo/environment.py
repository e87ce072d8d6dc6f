"""The environment by which the demo organization is audited: by `make audit`, by Compose and by the tests."""

from __future__ import annotations

import os
from collections.abc import Mapping

from demo.emulated_aws.identities import HUB_ACCESS_KEY_ID, HUB_SECRET_ACCESS_KEY
from demo.organization import EXTERNAL_ID, HOME
from ecr_audit.service_links import is_service_link


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
        # All of it in one night, so that every policy has its verdicts from the first one.
        "ECR_AUDIT_COLLECT": "all",
        "ECR_AUDIT_COLLECT_ROTATION_NIGHTS": "1",
        "ECR_AUDIT_IMAGE_TAGS": "overwritable",
    }


def enter_demo(endpoint_url: str) -> None:
    """Make this process's environment that of the demo organization, on the emulated AWS at `endpoint_url`.

    All credentials and settings for a real AWS are removed from it: accounts, regions and limits of a real
    organization would mean nothing in this one. `ignored_in_demo` lists them.
    """
    for name in list(os.environ):
        if _is_replaced(name):
            del os.environ[name]
    os.environ.update(
        demo_settings(endpoint_url),
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1",
    )


def ignored_in_demo(environment: Mapping[str, str]) -> str | None:
    """The line that names the variables of the caller that do not count in the demo; None without any."""
    ours = demo_settings("")
    ignored = sorted(
        name
        for name, value in environment.items()
        if _is_replaced(name) and value.strip() and value != ours.get(name) and not is_service_link(name, value)
    )
    return f"Ignored in the demo: {', '.join(ignored)}" if ignored else None


def _is_replaced(name: str) -> bool:
    # Settings and proxies are read whatever their case.
    upper = name.upper()
    return upper == "NO_PROXY" or (upper.startswith(("AWS_", "ECR_AUDIT_")) and name != "ECR_AUDIT_DATA")
