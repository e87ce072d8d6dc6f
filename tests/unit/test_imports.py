"""Imports point one way, from what people start down to what everything stands on; and privates stay private.

docs/architecture.md, "Import order", has the order as a table.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_audit.own_process import in_own_process
from ecr_audit.publish.build import publish
from support.paths import ROOT

# Rooms of the library, lowest first: each may import itself and the ones before it.
ROOMS = (
    *("version", "errors", "text", "vocabulary", "unit_paths", "untrusted_files", "literals"),
    *("place", "written", "service_links", "terminal", "hidden_modules"),
    *("settings", "macros", "yaml_files", "aws", "own_process", "lake", "catalog", "warehouse"),
    *("inventory", "image_tags", "compliance", "evidence", "metrics", "publish", "remediation", "security_hub"),
    *("alerts", "web", "doctor"),
)
# Parts of the project that each top-level tree may import, beside itself.
TREES = {
    "plugins/ecr_audit": (),
    "plugins/ecr_audit_airflow": ("ecr_audit",),
    "plugins/ecr_audit_plugin.py": ("ecr_audit", "ecr_audit_airflow"),
    "dags": ("ecr_audit", "ecr_audit_airflow"),
    "demo": ("ecr_audit",),
    "bin": ("ecr_audit", "ecr_audit_airflow", "demo"),
    "benchmarks": ("ecr_audit", "demo"),
}
PROJECT = ("ecr_audit", "ecr_audit_airflow", "ecr_audit_plugin", "demo")

# Packages that take much time to import.
OF_AWS = ("boto3", "botocore", "aiohttp")
DRIVER = ("adbc_driver_manager", "adbc_driver_postgresql")
UNUSED = ("airflow", "numpy", "openpyxl", "pandas", "pydantic_settings")

# Privates of botocore, boto3 and Airflow that have no public equal; each use has a comment with the reason.
FOREIGN_PRIVATES = {
    "bin/audit.py": {"_REVISION_HEADS_MAP"},
    "plugins/ecr_audit/aws/access.py": {"_session"},
    "plugins/ecr_audit/aws/endpoints.py": {"_endpoint", "_verify", "_cert_file", "_key_file", "_proxy_config"},
    "plugins/ecr_audit/publish/workbook_rows.py": {"_get_xf_index"},
    "plugins/ecr_audit_airflow/aws_connection.py": {"_session"},
    "tests/dags/test_aws_connection.py": {"_endpoint", "_verify"},
    "tests/deploy/test_least_privilege.py": {"_authenticate_and_authorize_s3_action"},
    "tests/integration/scan/test_trail.py": {"_authenticate_and_authorize_s3_action"},
    "bi/superset/superset_config.py": {"_backslash_escapes"},
}
# Public in spite of the underscore: of named tuples, dataclasses and os.
NOT_PRIVATE = {"_replace", "_asdict", "_exit"}


def python_files(*trees: str) -> list[Path]:
    return sorted(
        path
        for tree in trees
        for path in ([ROOT / tree] if tree.endswith(".py") else (ROOT / tree).rglob("*.py"))
        if "__pycache__" not in path.parts
    )


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and whole name of each module that a file imports, also late and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = ROOT / "plugins" / node.module.replace(".", "/")
            for alias in node.names:
                # `from ecr_audit.lake import schemas`: a module of that package, not a name in it.
                is_module = (module / alias.name).is_dir() or (module / f"{alias.name}.py").is_file()
                yield node.lineno, f"{node.module}.{alias.name}" if is_module else node.module


def room_of(module: str) -> str | None:
    """The room of a module of the library; None for the library's own front, `ecr_audit`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def test_every_room_has_its_place_in_the_order() -> None:
    found = {path.stem for path in (ROOT / "plugins" / "ecr_audit").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__"} == set(ROOMS)


def test_the_documented_order_is_this_one() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("| in this order |")[2].partition("\n\n")[0]
    first_cells = "".join(re.findall(r"^\| ([^|]*) \|", table, flags=re.MULTILINE))
    assert tuple(re.findall(r"`(\w+)`", first_cells)) == ROOMS


def test_imports_of_the_library_point_one_way() -> None:
    against = []
    for path in python_files("plugins/ecr_audit"):
        room = room_of(".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts).removesuffix(".__init__"))
        if room is None:
            continue
        against += [
            f"{path.relative_to(ROOT)}:{line} imports {module}"
            for line, module in imported(path)
            if module.startswith("ecr_audit.") and ROOMS.index(room_of(module) or "") > ROOMS.index(room)
        ]
    assert not against, "\n".join(against)


@pytest.mark.parametrize("tree", TREES)
def test_no_tree_imports_from_above_or_beside_it(tree: str) -> None:
    own = Path(tree).stem
    against = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in python_files(tree)
        for line, module in imported(path)
        if (top := module.partition(".")[0]) != own
        and ((top in PROJECT and top not in TREES[tree]) or (top == "airflow" and tree == "plugins/ecr_audit"))
    ]
    assert not against, "\n".join(against)


def test_nobody_uses_the_privates_of_another_module() -> None:
    used = []
    for path in python_files("plugins", "dags", "demo", "bin", "benchmarks", "bi", "tests"):
        name = str(path.relative_to(ROOT))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        allowed = NOT_PRIVATE | FOREIGN_PRIVATES.get(name, set()) | set(_defined(tree))
        used += [f"{name}:{line} uses {private}" for line, private in _privates(tree) if private not in allowed]
    assert not used, "\n".join(used)


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            yield node.attr


def _privates(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not _is_self(node.value):
            named = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr") and len(node.args) > 1:
            named = [str(node.args[1].value)] if isinstance(node.args[1], ast.Constant) else []
        else:
            continue
        yield from ((node.lineno, name) for name in named if name.startswith("_") and not name.startswith("__"))


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


@pytest.mark.parametrize(
    ("module", "without"),
    [
        # A session is opened over files, wherever these come from.
        ("ecr_audit.warehouse.session", ("ecr_audit.lake.lake", "ecr_audit.lake.storage")),
        # Whoever reads a number of a night need not load what makes one.
        ("ecr_audit.metrics", ("ecr_audit.inventory.scan", "ecr_audit.inventory.commit", "duckdb")),
        ("ecr_audit.inventory.commit", ("ecr_audit.inventory.scan", "duckdb")),
        # Its steps hide pandas, which pyarrow.dataset would load.
        ("ecr_audit.inventory.steps", ("pandas", "pyarrow.dataset")),
        # A reader of the published file has DuckDB, and perhaps nothing else.
        ("ecr_audit.publish.published_file", ("ecr_audit.lake", "ecr_audit.catalog", "pyarrow")),
        # Before it knows whether there is something to write.
        ("ecr_audit.publish.steps", ("pandas", "rich", "xlsxwriter", *DRIVER, *OF_AWS)),
    ],
)
def test_a_module_does_not_load_unused_libraries(module: str, without: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([name for name in {without!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert found.stdout.strip() == "[]"


def test_the_process_of_a_step_loads_nothing_unused(
    small_lake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is run as its task runs it, over a local lake: what a library imports at work counts, too.

    A facet was refused, so that the permission that lacks is named.
    """
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    monkeypatch.setenv("ECR_AUDIT_IMAGE_TAGS", "all")
    night = date(2026, 11, 1)
    refused = {"facets_failed": [{"facet": "lifecycle", "error_code": "AccessDeniedException"}]}
    details = {"facets": ["lifecycle"], "rotation_nights": 7}
    small_lake.scan(night, repositories=[{"repository_name": "a", **refused}], details=details)
    banned = {*UNUSED, *OF_AWS, *DRIVER, "xlsxwriter", "pyarrow.dataset"}
    for step, arguments, used in (
        ("ecr_audit.image_tags.steps:plan", (night.isoformat(),), set[str]()),
        ("ecr_audit.image_tags.steps:commit", (night.isoformat(),), set()),
        ("ecr_audit.image_tags.steps:read_trail", (night.isoformat(),), set()),
        ("ecr_audit.compliance.steps:evaluate", (night.isoformat(), []), set()),
        ("ecr_audit.compliance.steps:roll_up", (night.isoformat(),), set()),
        ("ecr_audit.publish.steps:publish", (night.isoformat(),), set()),
        ("ecr_audit.publish.steps:complete_publication", (), {"xlsxwriter"}),
    ):
        _, loaded = in_own_process("support.loaded_modules:loaded_by", step, *arguments)
        assert {"duckdb", "pyarrow"} | used <= loaded
        unused = loaded & (banned - used)
        assert not unused, f"{step} loads {sorted(unused)}"


def test_publishing_to_postgresql_loads_its_driver_and_little_else(
    small_lake: Any, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_alone: None
) -> None:
    monkeypatch.setenv("ECR_AUDIT_DATA", str(tmp_path))
    night = date(2026, 11, 1)
    small_lake.scan(night, repositories=[{"name": "a"}])
    small_lake.evaluate(night)
    publish(small_lake.lake, small_lake.catalog, tmp_path / "publish", owner_tags=())
    step = "ecr_audit.publish.steps:publish_to_postgres"
    _, loaded = in_own_process("support.loaded_modules:loaded_by", step, postgres)
    assert set(DRIVER) <= loaded
    assert not loaded & {*UNUSED, *OF_AWS, "xlsxwriter"}
