"""The message for programs of bin/ that are started without the environment that make sets up."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The targets of make by program, where they are not its name.
_TARGETS = {
    "audit": "audit-aws, or make audit for the demo",
    "doctor": "doctor, or make doctor-demo",
    "as_of": "as-of",
    "evidence_bundle": "evidence",
}


def require(*modules: str) -> None:
    """End the program when one of these modules is not found; the message names the command that sets all up."""
    program = Path(sys.argv[0]).stem
    for module in modules:
        if find_spec(module) is None:
            sys.exit(
                f"PYTHONPATH: the module '{module}' is not found. Use make {_TARGETS.get(program, program)}; or start"
                f" {ROOT / '.venv/bin/python'} with PYTHONPATH={ROOT / 'plugins'}:{ROOT}."
            )


require("rich", "duckdb", "ecr_audit")
