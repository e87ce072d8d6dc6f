"""`ecr_audit.query`, the way into a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

import ecr_audit

NOTEBOOK = Path(__file__).parents[2] / "docs" / "example.ipynb"


@pytest.fixture
def published(demo: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(demo))
    yield


@pytest.mark.usefixtures("published")
def test_an_answer_is_a_data_frame_with_types() -> None:
    answer = ecr_audit.query("SELECT * FROM compliance_daily WHERE scope_type = 'organization'")
    assert isinstance(answer, pd.DataFrame)
    assert answer["incompliant"].dtype.kind == "i"
    assert answer["compliance_percent"].dtype.kind == "f"
    assert answer["snapshot_date"].dtype.kind == "M"


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT DISTINCT region FROM findings WHERE region = $region", {"region": "eu-west-1"}),
        ("SELECT DISTINCT region FROM findings WHERE region = ?", ["eu-west-1"]),
    ],
)
def test_parameters_are_bound(sql: str, params: Any) -> None:
    assert list(ecr_audit.query(sql, params)["region"]) == ["eu-west-1"]


@pytest.mark.usefixtures("published")
def test_nothing_can_be_changed() -> None:
    with pytest.raises(duckdb.InvalidInputException, match="read-only"):
        ecr_audit.query("DELETE FROM findings")


def test_without_a_publication_the_error_names_the_file_and_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"ECR_AUDIT_DATA: '.*/publish/compliance.duckdb' is not there"):
        ecr_audit.query("SELECT 1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("published")
def test_the_example_notebook_runs() -> None:
    """Its cells are plain Python, so they are run as such, in order and in one namespace, without Jupyter."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    namespace: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"{NOTEBOOK.name}[{number}]", "exec"), namespace)
    assert len(namespace["daily"]) == 6
    assert namespace["by_owner"]["findings"].sum() == len(ecr_audit.query("SELECT 1 FROM open_findings"))
