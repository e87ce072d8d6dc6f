"""The loader for YAML: libyaml's, which takes a tenth of the time of PyYAML's own."""

from __future__ import annotations

from typing import Any

import yaml

# A PyYAML that was built without libyaml has no such class.
SAFE_LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
