"""A small `sql/` folder that a test can break."""

from __future__ import annotations

from pathlib import Path

import pytest

POLICY = """\
id: /ce/test/one
name: One
contextual_name: One
description: A policy.
type: COMPLIANCE_POLICY
categories: [RELIABILITY]
flags: [production]
severity: LOW
mappings:
  - /frameworks/hub/a
conditions: [{index: 199, status: INCOMPLIANT, when: Always.}]
"""

# hub/a <- leaf/b <- leaf/c <- leaf/d: each lists the one before as similar, and a lists d, which closes a loop.
HUB = """\
id: /frameworks/hub
name: Hub
sections:
  - id: /frameworks/hub/a
    title: A
    similar: [/frameworks/leaf/d]
"""
LEAF = """\
id: /frameworks/leaf
name: Leaf
sections:
  - id: /frameworks/leaf/b
    title: B
    similar: [/frameworks/hub/a]
  - id: /frameworks/leaf/d
    title: D
    parent: /frameworks/leaf/c
    similar:
      - /frameworks/leaf/c
  - id: /frameworks/leaf/c
    title: C
    parent: /frameworks/leaf/b
    similar: [/frameworks/leaf/b]
  - id: /frameworks/leaf/e
    title: E
    similar: [/frameworks/leaf/d, /frameworks/hub/a]
    withdrawn: true
"""


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A small valid `sql/` folder with one policy and two frameworks."""
    root = tmp_path / "sql"
    (root / "frameworks").mkdir(parents=True)
    (root / "frameworks" / "hub.yaml").write_text(HUB)
    (root / "frameworks" / "leaf.yaml").write_text(LEAF)
    (root / "staging" / "objects").mkdir(parents=True)
    (root / "staging" / "objects" / "repositories.sql").touch()
    folder = root / "policies" / "test" / "one"
    folder.mkdir(parents=True)
    (folder / "policy.yaml").write_text(POLICY)
    for name in ("logic.sql", "description.md", "remediation.md", "cases.yaml"):
        (folder / name).write_text(f"{name}\n")
    return root
