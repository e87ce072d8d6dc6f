"""The hooks of .pre-commit-config.yaml, each run by pre-commit on a commit with a fault that it is for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.documents import read_yaml
from support.paths import ROOT

HOOKS = read_yaml(ROOT / ".pre-commit-config.yaml")["repos"][0]["hooks"]


def test_make_runs_the_programs_of_the_hooks() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = "".join(re.findall(r"^(?:lint|types):.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE))
    of_make = re.findall(r"\$\(BIN\)/([\w-]+(?: check| format| lint)?)", commands)
    of_hooks = [re.match(r"\.venv/bin/([\w-]+(?: check| format| lint)?)", hook["entry"]) for hook in HOOKS]
    assert sorted(of_make) == sorted(program[1] for program in of_hooks if program)


@pytest.mark.parametrize(
    ("hook", "name", "text", "messages"),
    [
        ("ruff-check", "fault.py", "print(undefined)\n", ["F821"]),
        ("ruff-format", "fault.py", "x = {  }\n", ["1 file reformatted"]),
        (
            "sqlfluff",
            "fault.sql",
            "WITH a AS (SELECT 1)\nSELECT\n    1  AS b\n    , 2 c\n",
            ["LT01", "LT04", "LT08"],
        ),
        ("sqlfluff", "fault.sql", "SELECT FROM FROM\n", ["PRS"]),
        ("codespell", "fault.md", "They rec" + "ieve it.\n", ["receive"]),
    ],
)
def test_a_fault_is_found(hook: str, name: str, text: str, messages: list[str], tmp_path: Path) -> None:
    for setup in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(ROOT / setup, tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / name).write_text(text, encoding="utf-8")
    for arguments in (["init", "--quiet"], ["add", name, ".pre-commit-config.yaml"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    done = subprocess.run(
        [ROOT / ".venv/bin/pre-commit", "run", hook],
        cwd=tmp_path,
        env=os.environ | {"PRE_COMMIT_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert [message for message in messages if message not in done.stdout] == []
