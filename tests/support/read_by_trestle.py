"""Imports and validates OSCAL files, as `trestle import` and `trestle validate` do: takes a workspace and the files.

Run by the Python of .venv-tools, all in one process: Trestle takes seconds to start.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from trestle.cli import Trestle


def command(*words: str) -> None:
    """Run a command of Trestle, and end with its code if it fails."""
    sys.argv = ["trestle", *words]
    if code := Trestle().run():
        sys.exit(f"trestle {' '.join(words)}: exit code {code}")


def main() -> None:
    """Import and validate each file, under its own name."""
    workspace, *files = (Path(each).absolute() for each in sys.argv[1:])
    workspace.mkdir()
    os.chdir(workspace)
    command("init", "--local")
    for file in files:
        command("import", "-f", str(file), "-o", file.stem)
        command("validate", "-t", "assessment-results", "-n", file.stem)


if __name__ == "__main__":
    main()
