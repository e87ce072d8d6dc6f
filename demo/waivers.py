"""The risks that the demo organization accepted: one waiver of each status.

Their dates are relative to the demo's day, so that the one that is about to expire always is.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT_POLICY = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"

_HEADER = "# Risks that the demo organization accepted. Made with the demo, for its day: changes are lost.\n"

# `created` and `expires` are days before (-) and after the demo's day.
_WAIVERS: tuple[dict[str, Any], ...] = (
    {
        "id": "DEMO-1",
        "policy": POLICY,
        "scope": {"repository": "arn:aws:ecr:*:210000000022:repository/preview/*"},
        "reason": "A preview lives for days, and each push to its pull request overwrites the tag on purpose.",
        "owner": "preview-environments",
        "ticket": "RISK-101",
        "approved_by": "Head of engineering",
        "created": -60,
        "expires": 200,
    },
    {
        "id": "DEMO-2",
        "policy": POLICY,
        "scope": {"ou": "Root/Sandbox"},
        "reason": "Trials without customer data, to be cleaned up by the end of the quarter.",
        "owner": "team-quarry",
        "ticket": "RISK-107",
        "approved_by": "Chief information security officer",
        "created": -80,
        "expires": 12,
    },
    {
        "id": "DEMO-3",
        "policy": POLICY,
        "scope": {"account": "210000000005", "region": "us-east-1"},
        "reason": "Runners pull their tools by tag until all pipelines name digests.",
        "owner": "team-harbor",
        "ticket": "RISK-98",
        "approved_by": "Chief information security officer",
        "created": -75,
        "expires": -6,
    },
    {
        "id": "DEMO-4",
        "policy": POLICY,
        "scope": {"repository": "arn:aws:ecr:*:210000000009:repository/legacy/*"},
        "reason": "The old ledger cannot be rebuilt.",
        "owner": "team-meridian",
        "ticket": "RISK-112",
        "approved_by": "Chief information security officer",
        "created": -30,
        "expires": 150,
    },
    {
        "id": "DEMO-5",
        "policy": STRICT_POLICY,
        "scope": {"ou": "Root/Workloads/Production/Storefront", "tag": {"key": "service", "value": "catalog"}},
        "reason": "The tag latest is left out of immutability for the nightly price list.",
        "owner": "team-juniper",
        "ticket": "RISK-110",
        "approved_by": "Head of engineering",
        "created": -40,
        "expires": 120,
    },
)


def write_waivers(path: Path, today: date) -> Path:
    """Write the demo's file of waivers as it is on a day, which is that of its second night; returns the path."""
    waivers = [
        waiver | {name: today + timedelta(days=waiver[name]) for name in ("created", "expires")} for waiver in _WAIVERS
    ]
    text = yaml.safe_dump({"waivers": waivers}, sort_keys=False, allow_unicode=True, width=110)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEADER + text, encoding="utf-8")
    return path
