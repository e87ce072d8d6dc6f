"""The bill of materials names every package that is locked, and the hashes it may have."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_locked_package_is_in_it(tmp_path: Path) -> None:
    """By the command of `make sbom`."""
    [command] = re.findall(r"^sbom: .*\n\t@(.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    target = tmp_path / "sbom.json"
    words = shlex.split(command.replace("$(BIN)", str(Path(sys.executable).parent)))
    subprocess.run([str(target) if word == "sbom.json" else word for word in words], cwd=ROOT, check=True)
    components = json.loads(target.read_text(encoding="utf-8"))["components"]
    locked = re.findall(r"^(\S+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(locked) > 100
    # Extras are chosen by name[extra]; a component has its name alone.
    assert {(each["name"], each["version"]) for each in components} == {
        (name.partition("[")[0], version) for name, version in locked
    }
    assert all(each["externalReferences"][0]["hashes"] for each in components)
