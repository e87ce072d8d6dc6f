"""Documents of the project, read for a test: by the fast parser, and by cfn-lint's only where a test needs that.

Every process of `pytest -n` collects all tests; what a module reads and imports at its top is paid for by each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ecr_audit.yaml_files.loader import SAFE_LOADER


def read_yaml(path: Path) -> Any:
    """The content of a YAML file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=SAFE_LOADER)


def read_template(path: Path) -> dict[str, Any]:
    """The content of a CloudFormation template, with its short forms (`!Ref`) written out."""
    from cfnlint.decode import cfn_yaml

    template: dict[str, Any] = cfn_yaml.load(str(path))
    return template
