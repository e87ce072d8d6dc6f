"""Where the project is, and the path by which another process finds its modules."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The library and what Airflow loads; and the demo, which is not among them.
PYTHONPATH = os.pathsep.join([str(ROOT / "plugins"), str(ROOT)])

# The documents of the project: pages whose commands, links, files and SQL tests look at.
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
