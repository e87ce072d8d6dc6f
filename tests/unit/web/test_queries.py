"""The queries of the pages: each is one SELECT, describes its rows, and has its name in its header."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecr_audit.settings import SQL_ROOT
from ecr_audit.warehouse.statements import parse_statement
from ecr_audit.web.published import statement

PAGES = SQL_ROOT / "pages"
QUERIES = sorted(PAGES.rglob("*.sql"))


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: str(path.relative_to(PAGES)))
def test_a_query_is_one_select_below_its_description(path: Path) -> None:
    name = str(path.relative_to(PAGES).with_suffix(""))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"-- {path.stem}: ")
    assert any("from: " in line for line in lines if line.startswith("--"))
    parse_statement(name, statement(name))
