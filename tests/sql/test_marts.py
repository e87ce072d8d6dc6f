"""Runs the cases of sql/marts: tests/sql/<mart>/*.yaml.

A case gives what was scanned on some days (`scanned`, see SmallLake.scan), which are then evaluated in order, and
expects
`rows` of a mart on one of them. Rows outside `where` are not looked at; an expected row names only the columns that
matter. Its comment does the arithmetic. A case may also have `waivers`, which are there from the start, and days that
are `scanned_again` after all: each is evaluated again, with all days after it. `remediated` has the
changes of approved plans by day (`SmallLake.remediate`). With `reads_facets` the policies of `facet_catalog` are there.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ecr_audit.catalog.waivers import SCHEMA as WAIVERS
from ecr_audit.compliance import later_dates
from ecr_audit.settings import SQL_ROOT
from support.documents import read_yaml
from support.policies import facet_catalog
from support.small_lake import SmallLake

CASES = sorted(Path(__file__).parent.glob("*/*.yaml"))

# Every verdict is there once more under the strict policy: cases look at this one unless they say otherwise.
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"


# Their rows come from publishing, and are tested there.
WITHOUT_CASES = {"publication", "open_findings", "remediation_plan"}


def test_every_mart_has_cases() -> None:
    marts = {path.stem for path in (SQL_ROOT / "marts").glob("*.sql")}
    assert marts - WITHOUT_CASES == {path.parent.name for path in CASES}


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, small_lake: SmallLake) -> None:
    case = read_yaml(path)
    if case.get("reads_facets"):
        small_lake.catalog = facet_catalog()
    waivers = [{"policy_id": POLICY} | waiver for waiver in case.get("waivers", [])]
    small_lake.waivers = pa.Table.from_pylist(waivers, schema=WAIVERS)
    for day, scanned in case["scanned"].items():
        small_lake.night(day, **scanned)
    for day, scanned in case.get("scanned_again", {}).items():
        small_lake.scan(day, **scanned)
        for again in [day, *later_dates(small_lake.lake, day)]:
            small_lake.evaluate(again)
    for day, actions in case.get("remediated", {}).items():
        small_lake.remediate(day, actions)

    for expected in case["expect"]:
        day = expected["day"]
        assert isinstance(day, date)
        rows = small_lake.rows(path.parent.name, day)
        where = ({"policy_id": POLICY} if "policy_id" in (rows[0] if rows else {}) else {}) | expected.get("where", {})
        found = [row for row in rows if where.items() <= row.items()]
        wanted = expected["rows"]
        named = sorted({column for row in wanted for column in row})
        assert _sorted([{column: row[column] for column in named} for row in found]) == _sorted(wanted), f"on {day}"


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((dict(sorted(row.items())) for row in rows), key=str)
