"""The numbers of the newest night, from a lake filled by hand."""

from __future__ import annotations

from datetime import date

from ecr_audit import metrics
from ecr_audit.lake.schemas import SCAN_TARGETS
from support.lakes import committed
from support.small_lake import SmallLake

OLD, NEW = date(2026, 11, 1), date(2026, 11, 2)


def values(gauges: list[metrics.Gauge]) -> dict[tuple[str, ...], float]:
    return {(gauge.name.removeprefix("ecr_audit."), *gauge.tags.values()): gauge.value for gauge in gauges}


def test_before_the_first_night_there_is_nothing_to_report(small_lake: SmallLake) -> None:
    lake = small_lake.lake
    assert metrics.of_inventory(lake) == metrics.of_compliance(lake) == metrics.of_image_tags(lake) == []


def test_an_older_night_that_is_evaluated_again_does_not_pass_for_the_newest(small_lake: SmallLake) -> None:
    for day, value in ((OLD, "MUTABLE"), (NEW, "IMMUTABLE"), (OLD, "MUTABLE")):
        small_lake.night(day, repositories=[{"image_tag_mutability": value}])
    found = values(metrics.of_compliance(small_lake.lake))
    assert found["verdicts", "repository-image-tag-mutability", "COMPLIANT"] == 1
    assert found["verdicts", "repository-image-tag-mutability", "INCOMPLIANT"] == 0
    assert found["compliance_percent", "repository-image-tag-mutability"] == 100


def test_costs_and_coverage_count_all_targets(small_lake: SmallLake) -> None:
    """Two of three targets count for coverage, one was collected: 50 %. A target without a scan has no costs."""
    small_lake.scan(
        NEW,
        scan_targets=[
            {"account_id": "111111111111", "region": "eu-west-1", "api_calls": 3, "retries": 1},
            {
                "account_id": "111111111111",
                "region": "eu-west-2",
                "outcome": "THROTTLED",
                "api_calls": 9,
                "retries": 8,
                "throttles": 7,
            },
            {"account_id": "111111111111", "region": "eu-south-1", "outcome": "REGION_DISABLED"},
        ],
    )
    found = values(metrics.of_inventory(small_lake.lake))
    costs = tuple(found[cost,] for cost in ("api_calls", "retries", "throttles"))
    assert (costs, found["coverage_percent",]) == ((12, 9, 7), 50)
    assert {key[1]: value for key, value in found.items() if key[0] == "targets" and value} == {
        "COLLECTED": 1,
        "THROTTLED": 1,
        "REGION_DISABLED": 1,
    }


def test_numbers_that_an_older_version_did_not_count_are_unknown(older: SmallLake) -> None:
    reported = {name for (name, *_) in values(metrics.of_inventory(older.lake))}
    version = committed(older.lake, "inventory", older.lake.snapshot_dates("inventory")[-1]).schema_version
    assert set(metrics.COSTS) - reported == set(metrics.COSTS) & set(SCAN_TARGETS.lacking(version))


def test_nothing_evaluated_has_no_compliance(small_lake: SmallLake) -> None:
    small_lake.night(NEW)
    found = values(metrics.of_compliance(small_lake.lake))
    assert found["verdicts", "repository-image-tag-mutability", "UNDETERMINED"] == 0
    assert not [key for key in found if key[0] == "compliance_percent"]


def test_image_tags_that_were_overwritten_are_counted_by_kind(small_lake: SmallLake) -> None:
    """Of two repositories one is denied; in the other a release and a moving tag move, and one is added."""
    repositories = [{"repository_name": "app"}, {"repository_name": "closed"}]
    denied = {"repository_name": "closed", "outcome": "ACCESS_DENIED"}
    for day, tags in ((OLD, {"latest": "a", "1.0.0": "a"}), (NEW, {"latest": "b", "1.0.0": "b", "new": "b"})):
        small_lake.scan(day, repositories=repositories)
        small_lake.read_tags(day, [{"repository_name": "app", "tags": tags}, denied])
    found = values(metrics.of_image_tags(small_lake.lake))
    reads = {key[1]: value for key, value in found.items() if key[0] == "image_tag_reads" and value}
    assert reads == {"COLLECTED": 1, "ACCESS_DENIED": 1}
    counted = ("image_tags",), ("image_tag_comparisons",), ("overwritten_release_tags",)
    assert [found[key] for key in counted] == [3, 1, 1]
    kinds = {key[1]: value for key, value in found.items() if key[0] == "overwritten_tags"}
    assert kinds == {"moved": 2, "moved_though_immutable": 0, "moved_back": 0}
