"""The publication, compared with the emulated AWS."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb

from demo.emulated_aws.world import World

MUTABILITY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
COMPLIANT = ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")


def assert_published_is_the_truth(database: Path, world: World) -> None:
    """Every target with its outcome, every repository once, and as many verdicts of each kind as values of theirs."""
    with duckdb.connect(str(database), read_only=True) as published:
        outcomes = {
            (account_id, region): (outcome, count)
            for account_id, region, outcome, count in published.sql(
                "FROM scan_targets SELECT account_id, region, outcome, repository_count"
            ).fetchall()
        }
        names = published.sql("FROM repositories SELECT account_id, region, repository_name WHERE observed").fetchall()
        verdicts = published.execute(
            "FROM policy_output SELECT status, count(*) WHERE policy_id = ? AND observed GROUP BY ALL", [MUTABILITY]
        ).fetchall()
    expected_outcomes: dict[tuple[str, str], tuple[str, int | None]] = {}
    expected_names: list[tuple[str, str, str]] = []
    expected_verdicts: Counter[str] = Counter()
    for target in world.targets():
        outcome = world.outcome(*target)
        found = world.repositories(*target) if outcome == "COLLECTED" else None
        expected_outcomes[target] = (outcome, None if found is None else len(found))
        expected_names += [(*target, each.name) for each in found or ()]
        expected_verdicts.update(_verdict(each.image_tag_mutability) for each in found or ())
    assert outcomes == expected_outcomes
    assert sorted(names) == sorted(expected_names)
    assert dict(verdicts) == expected_verdicts


def _verdict(mutability: str | None) -> str:
    value = (mutability or "").strip().upper()
    return "INCOMPLIANT" if value == "MUTABLE" else "COMPLIANT" if value in COMPLIANT else "UNDETERMINED"
