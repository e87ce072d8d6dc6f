"""No join of sql/ compares all rows of one table with all of another where a hash of their keys would do.

DuckDB does that for an outer, semi or anti join with a condition that does not compare one side with the other: no
matter in a small organization, and hours in a large one. Such a condition goes into an inner join of its own, whose
rows the other join then takes by their keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from ecr_audit.settings import SQL_ROOT

# Files of macros are left out: they hold no SELECT.
FILES = sorted(path for path in SQL_ROOT.rglob("*.sql") if "MACRO" not in path.read_text(encoding="utf-8"))
COMPARISONS = (
    "COMPARE_EQUAL",
    "COMPARE_NOT_DISTINCT_FROM",
    "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO",
    "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHANOREQUALTO",
)


def slow_joins(text: str) -> list[str]:
    """The tables of a statement whose join compares all rows."""
    # {name} stands for a query.
    text = re.sub(r"\{[\w/]+\}", "given", text)
    [(serialized,)] = duckdb.execute("SELECT json_serialize_sql($text)", {"text": text}).fetchall()
    tree = json.loads(serialized)
    assert not tree["error"], tree.get("error_message")
    return [
        name_of(join["right"])
        for join in nodes(tree)
        if join.get("type") == "JOIN" and join["join_type"] != "INNER" and not is_hashed(join)
    ]


def is_hashed(join: dict[str, Any]) -> bool:
    """Whether each part of the condition compares the sides, or is about a side whose rows can be left out before."""
    right = {name_of(join["right"])}
    filtered_first = {"LEFT": "right", "ANTI": "right", "SEMI": "both"}.get(join["join_type"])
    for part in parts(join["condition"]):
        named = aliases(part)
        if (filtered_first and named <= right) or (filtered_first == "both" and not named & right):
            continue
        sides = [aliases(side) for side in compared(part)]
        if right not in sides or set() in sides or sides[0] & sides[1]:
            return False
    return True


def parts(condition: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    if condition is None:  # USING
        return
    if condition["type"] == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from parts(child)
    elif condition["type"] == "COMPARE_BETWEEN":
        for bound in ("lower", "upper"):
            yield {"type": COMPARISONS[0], "left": condition["input"], "right": condition[bound]}
    else:
        yield condition


def compared(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [part["left"], part["right"]] if part["type"] in COMPARISONS else []


def aliases(tree: Any) -> set[str]:
    """The tables that the columns of an expression name."""
    return {
        node["column_names"][0] if len(node["column_names"]) > 1 else ""
        for node in nodes(tree)
        if node.get("class") == "COLUMN_REF"
    }


def name_of(table: dict[str, Any]) -> str:
    return str(table["alias"] or table.get("table_name"))


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(child)


@pytest.mark.parametrize(
    "condition",
    [
        "USING (k)",
        "ON t.k = r.k AND t.made IS NOT DISTINCT FROM r.made",
        "ON t.k = r.k AND t.kind = 'x' AND NOT t.old",
        "ON t.k = CASE WHEN r.wanted THEN r.k END AND r.day BETWEEN t.first AND coalesce(t.last, 'infinity')",
        "ON t.k = r.k AND coalesce(t.made = r.made, TRUE)",
        "ON t.k = r.k AND t.tag GLOB r.pattern",
        "ON t.k = r.k AND r.wanted",
        "ON t.k = r.k AND len(r.list) > 0",
        "ON t.k = r.k AND r.day BETWEEN t.first AND coalesce(t.last, r.day)",
    ],
)
@pytest.mark.parametrize("kind", ["LEFT", "ANTI", "SEMI", "FULL"])
def test_joins_are_found_as_duckdb_plans_them(kind: str, condition: str) -> None:
    text = f"WITH c AS (SELECT r.k FROM repositories AS r {kind} JOIN tags AS t {condition}) SELECT k FROM c"
    with duckdb.connect() as connection:
        columns = "k VARCHAR, made DATE, day DATE, first DATE, last DATE, tag VARCHAR, pattern VARCHAR, kind VARCHAR"
        for table in ("repositories", "tags"):
            connection.execute(f"CREATE TABLE {table} ({columns}, wanted BOOLEAN, old BOOLEAN, list INTEGER[])")
            connection.execute(f"INSERT INTO {table} (k) VALUES ('a')")
        [(_, plan)] = connection.execute(f"EXPLAIN (FORMAT json) {text}").fetchall()
    assert slow_joins(text) == (["t"] if "BLOCKWISE_NL_JOIN" in plan else [])


def test_no_join_compares_all_rows() -> None:
    found = {str(path.relative_to(SQL_ROOT)): slow_joins(path.read_text(encoding="utf-8")) for path in FILES}
    assert {path: tables for path, tables in found.items() if tables} == {}
    assert len(found) > 100
