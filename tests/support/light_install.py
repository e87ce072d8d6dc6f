"""`ecr_audit.query` where the packages of requirements-query.txt are installed and no others, as analysts have it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# The environment of the tests has every package; here those that are named cannot be found.
_QUERY = r"""
import json, sys

missing, sql = set(json.loads(sys.argv[1])), sys.argv[2]


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Missing())

import ecr_audit

answer = ecr_audit.query(sql)
found = {
    "type": f"{type(answer).__module__}.{type(answer).__name__}",
    "rows": json.loads(answer.to_json(orient="records", date_format="iso")),
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
}
sys.stdout.write(json.dumps(found))
"""


def pins(name: str) -> set[tuple[str, str]]:
    """The packages that a lock names, each with its version."""
    return set(re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE))


def listed() -> set[str]:
    """The packages that requirements-query.in asks for."""
    text = (ROOT / "requirements-query.in").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9]\S*)", text, flags=re.MULTILINE))


def query(sql: str, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Ask in such an environment, `without` some packages of the lock as well.

    Returns the answer's `type`, its `rows`, and the `packages` that were imported.
    """
    packages = {
        module: {re.sub(r"[-_.]+", "-", package).lower() for package in of}
        for module, of in packages_distributions().items()
    }
    kept = {package for package, _ in pins("requirements-query.txt")} - without
    missing = [module for module, of in packages.items() if not of & kept]
    assert {"airflow", "aiohttp", "openpyxl", "adbc_driver_postgresql", "yaml"} <= set(missing)
    done = subprocess.run(
        [sys.executable, "-c", _QUERY, json.dumps(missing), sql],
        check=True,
        cwd=ROOT / "plugins",
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    imported = [packages.get(module, set()) for module in found.pop("modules")]
    return found | {"packages": set().union(*imported)}
