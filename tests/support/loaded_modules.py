"""The modules that a step's own process has loaded, once the step is done."""

from __future__ import annotations

import sys
from pkgutil import resolve_name
from typing import Any


def loaded_by(function: str, *arguments: Any) -> tuple[Any, set[str]]:
    """The result of a function, named `package.module:function`, and all modules loaded by then."""
    result = resolve_name(function)(*arguments)
    return result, set(sys.modules)
