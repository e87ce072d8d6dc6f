"""The alert rules, the chart's mappings and the document know the metrics that are sent, by their names and tags."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

from ecr_audit.metrics import Gauge
from ecr_audit_airflow import observability
from support.documents import read_yaml
from support.small_lake import SmallLake

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gauges(small_lake: SmallLake) -> list[Gauge]:
    """All metrics of a night with a finding, and with a tag that moved."""
    for day, digest in ((date(2026, 11, 1), "a"), (date(2026, 11, 2), "b")):
        small_lake.night(day, repositories=[{}], image_tags=[{"tags": {"1.0.0": digest}}])
    return [each for said in observability.task_reports().values() for each in said.gauges(small_lake.lake)]


def test_the_alert_rules_use_metrics_that_are_sent(gauges: list[Gauge]) -> None:
    rules = (ROOT / "deploy/prometheus/ecr-audit.rules.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\bairflow_ecr_audit_\w+", rules))
    assert asked and asked <= {f"airflow_{gauge.name.replace('.', '_')}" for gauge in gauges}
    values = {value for gauge in gauges for value in gauge.tags.values()}
    for pattern in re.findall(r'="([^"]+)"|=~"([^"]+)"', rules):
        assert [value for value in values if re.fullmatch("|".join(filter(None, pattern)), value)], pattern
    document = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    for rule in yaml.safe_load(rules)["groups"][0]["rules"]:
        assert f"`{rule['alert']}`" in document


def test_the_chart_turns_names_into_labels(gauges: list[Gauge]) -> None:
    values = read_yaml(ROOT / "deploy/helm/values.yaml")
    mapped = {each["match"]: (each["name"], each["labels"]) for each in values["statsd"]["extraMappings"]}
    assert mapped == {
        f"airflow.{gauge.name}{'.*' * len(gauge.tags)}": (
            f"airflow_{gauge.name.replace('.', '_')}",
            {tag: f"${number}" for number, tag in enumerate(gauge.tags, start=1)},
        )
        for gauge in gauges
        if gauge.tags
    }


def test_the_document_names_each_metric_and_its_tags(gauges: list[Gauge]) -> None:
    document = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(ecr_audit\.\w+)` \|(.*)$", document, flags=re.MULTILINE))
    assert rows.keys() == {gauge.name for gauge in gauges}
    assert all(f"`{tag}`" in rows[gauge.name] for gauge in gauges for tag in gauge.tags)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (Debian's package prometheus has it)")
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    """On the nights of ecr-audit.rules.test.yaml, by Prometheus's own tool."""
    tested = subprocess.run(
        ["promtool", "test", "rules", "ecr-audit.rules.test.yaml"],
        cwd=ROOT / "deploy/prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr
    tried = read_yaml(ROOT / "deploy/prometheus/ecr-audit.rules.test.yaml")
    rules = read_yaml(ROOT / "deploy/prometheus/ecr-audit.rules.yaml")
    cases = [case for night in tried["tests"] for case in night["alert_rule_test"]]
    for name in (rule["alert"] for rule in rules["groups"][0]["rules"]):
        # Each is seen to fire, and not to.
        assert {"exp_alerts" in case for case in cases if case["alertname"] == name} == {True, False}, name
