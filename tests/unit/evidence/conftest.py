"""A sealed log: three nights, one of them evaluated again under a changed policy, with a waiver and a gap."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from ecr_audit.catalog import waivers
from support.evidence import DAYS, SealedLake
from support.policies import MUTABILITY

WAIVER = {
    "waiver_id": "W-1",
    "policy_id": MUTABILITY,
    "repository": "arn:aws:ecr:*:*:repository/legacy",
    "reason": "retired",
    "owner": "web",
    "ticket": "RISK-1",
    "approved_by": "CISO",
    "created": date(2026, 10, 1),
    "expires": date(2026, 12, 31),
}


@pytest.fixture(scope="package")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedLake:
    """Entries 1 to 3 of the first, second and fourth day; entry 4 of the fourth again. The lake is gone."""
    made = SealedLake.at(tmp_path_factory.mktemp("sealed"))
    made.nights.waivers = pa.Table.from_pylist([WAIVER], schema=waivers.SCHEMA)
    for day, setting in ((DAYS[0], "MUTABLE"), (DAYS[1], "IMMUTABLE"), (DAYS[3], "MUTABLE")):
        made.nights.night(
            day,
            repositories=[
                {"repository_name": "app", "image_tag_mutability": setting, "tags": {"Team": "web", "owner": "shop"}},
                {"repository_name": "legacy"},
                {"repository_name": "odd", "image_tag_mutability": "SOMETHING_NEW"},
            ],
            registries=[{}],
            scan_targets=[{"account_id": "1" * 12, "region": "eu-west-1", "request_id": f"call-of-{day}"}],
        )
        made.seal()
    made.change_policy("can be overwritten", "may be overwritten")
    made.nights.evaluate(DAYS[3])
    made.seal()
    # Thinned, and more than that: nothing of the lake is left.
    Path(made.nights.lake.root).rename(made.folder / "lake-that-was")
    return made
