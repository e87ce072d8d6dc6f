"""The bill of materials names every package that is locked, and the hashes it may have."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".venv-tools"


@pytest.mark.skipif(not TOOLS.exists(), reason="the tools are not set up: make test-slow")
def test_every_locked_package_is_in_it(tmp_path: Path) -> None:
    """By the command of `make sbom`."""
    [command] = re.findall(r"^sbom: .*\n\t@(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    target = tmp_path / "sbom.json"
    words = shlex.split(command.replace("$(TOOLS)", str(TOOLS)))
    subprocess.run([str(target) if word == "sbom.json" else word for word in words], cwd=ROOT, check=True)
    components = json.loads(target.read_text(encoding="utf-8"))["components"]
    locked = re.findall(r"^(\S+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(locked) > 100
    # Extras are chosen by name[extra]; a component has its name alone.
    assert {(each["name"], each["version"]) for each in components} == {
        (name.partition("[")[0], version) for name, version in locked
    }
    assert all(each["externalReferences"][0]["hashes"] for each in components)
