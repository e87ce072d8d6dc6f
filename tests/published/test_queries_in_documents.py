"""Every query of the README and of docs/*.md runs on the demo's publication, and finds something in it.

A query is a block of SQL that begins by SELECT, WITH or FROM, maybe after comments; other blocks are for PostgreSQL.
Files are named as in the folder of the publication.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from support.paths import ROOT

DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_QUERY = re.compile(r"(--.*\n)*(SELECT|WITH|FROM)\b")

QUERIES = {
    f"{document.name}:{document.read_text('utf-8')[: block.start(1)].count(chr(10)) + 1}": block[1]
    for document in DOCUMENTS
    for block in _BLOCK.finditer(document.read_text("utf-8"))
    if _QUERY.match(block[1])
}
# The demo imports nothing into Security Hub.
WITHOUT_ROWS = "security_hub_imports"


def test_there_are_queries() -> None:
    assert len(QUERIES) > 10


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_finds_something(demo: Path, query: str) -> None:
    with duckdb.connect(demo / "publish" / "compliance.duckdb", read_only=True) as database:
        database.execute("SET file_search_path = $folder", {"folder": str(demo / "publish")})
        rows = database.execute(query).fetchall()
    assert bool(rows) != (WITHOUT_ROWS in query)
