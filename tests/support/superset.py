"""The export in bi/superset, and the rows that each of its charts has to show, read from the file by other SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from support.documents import read_yaml

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "bi" / "superset" / "export"
FIGURES = ROOT / "tests" / "bi" / "figures"

CHARTS = {path.stem: read_yaml(path) for path in sorted(EXPORT.glob("charts/*.yaml"))}
DATASETS = {
    dataset["uuid"]: dataset for path in sorted(EXPORT.glob("datasets/*/*.yaml")) for dataset in [read_yaml(path)]
}
[DASHBOARD] = [read_yaml(path) for path in EXPORT.glob("dashboards/*.yaml")]

# The policy that decides framework sections, and another.
POLICY = "/ce/ca/aws/ecr/repository-image-tag-mutability"
STRICT_POLICY = "/ce/ca/aws/ecr/repository-image-tag-immutability-strict"

# Names as AWS allows them: text that SQL, HTML or a template could take for its own, and words as long as names can be.
HOSTILE_UNIT = 'Root/O\'Brien "x" <b>100%_;--{{ 1 }} $unit :policy \\'
LONG_UNIT = f"{HOSTILE_UNIT}/{'Long' * 32}"
HOSTILE_ACCOUNT, LONG_ACCOUNT = "210000000023", "210000000024"
LONG_NAME, LONG_OWNER = "n" * 50, "o" * 256

# A unit of the demo that had another name until November, with the units in it.
RENAMED_UNIT, OLD_NAME = "Root/Workloads/Production", "Root/Workloads/Live"

OWNER_TAGS = ("owner", "team")

Row = dict[str, Any]


@dataclass(frozen=True)
class View:
    """The choice on the dashboard; None: nothing is chosen.

    An account is `name (id)`; nights are those from `since` up to, but without, `until`.
    """

    policy: str = POLICY
    within: str | None = None
    unit: str | None = None
    account: str | None = None
    waived: str | None = None
    age_is: str | None = None
    owner: str | None = None
    region: str | None = None
    repository: str | None = None
    since: str | None = None
    until: str | None = None


def scope_of(excluded: list[int]) -> set[str]:
    """The charts that a filter applies to, given the ids of those that it leaves out."""
    ids = {part["meta"]["uuid"]: part["meta"]["chartId"] for part in _chart_parts()}
    return {name for name, chart in CHARTS.items() if ids[chart["uuid"]] not in excluded}


def native_filters() -> dict[str, Any]:
    """The filters at the top of the dashboard, by name."""
    return {each["name"]: each for each in DASHBOARD["metadata"]["native_filter_configuration"]}


def cross_filter_scope(name: str) -> set[str]:
    """The charts that a click on a chart filters."""
    [chart_id] = [part["meta"]["chartId"] for part in _chart_parts() if part["meta"]["uuid"] == CHARTS[name]["uuid"]]
    configuration = DASHBOARD["metadata"]["chart_configuration"][str(chart_id)]
    return scope_of(configuration["crossFilters"]["scope"]["excluded"]) - {name}


def _chart_parts() -> list[dict[str, Any]]:
    return [part for part in DASHBOARD["position"].values() if isinstance(part, dict) and part["type"] == "CHART"]


def expected_rows(published: Path, name: str, view: View) -> list[Row]:
    """The rows that a chart has to show: tests/bi/figures/<chart>.sql, which finds the view in variables."""
    with duckdb.connect(published, read_only=True) as database:
        for variable, value in asdict(view).items():
            database.execute(f"SET VARIABLE {variable} = $value::VARCHAR", {"value": value})
        database.execute((FIGURES / "macros.sql").read_text(encoding="utf-8"))
        answer = database.execute((FIGURES / f"{name}.sql").read_text(encoding="utf-8"))
        columns = [column[0] for column in answer.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def comparable(name: str, rows: list[Row]) -> list[tuple[tuple[str, Any], ...]]:
    """The rows of a chart, as Superset or as `expected_rows` has them, in one form and order.

    Superset has a column for each series, of which some are empty, and no points without a value under a big number;
    dates are milliseconds, and counts sometimes fractions.
    """
    axis = CHARTS[name]["params"].get("x_axis")
    if axis and CHARTS[name]["params"].get("groupby"):
        rows = [
            {axis: row[axis], "series": series, "value": value}
            for row in rows
            for series, value in ([(row["series"], row["value"])] if "series" in row else row.items())
            if series != axis and value
        ]
    if CHARTS[name]["viz_type"] == "big_number":
        rows = [row for row in rows if None not in row.values()]
    return sorted(
        (tuple(sorted((column, _plain(value)) for column, value in row.items())) for row in rows),
        key=str,
    )


def _plain(value: Any) -> Any:
    return round(float(value), 6) if isinstance(value, int | float) and not isinstance(value, bool) else value


def metrics_of(chart: Mapping[str, Any]) -> list[str]:
    """The metrics that a chart shows or sorts by."""
    params = chart["params"]
    named = [*params.get("metrics", []), params.get("metric"), params.get("timeseries_limit_metric")]
    return [metric for metric in named if metric]
