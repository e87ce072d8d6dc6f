"""Superset's settings beyond its defaults. `serve.py` points to it and sets SUPERSET_HOME."""

import os
from pathlib import Path

from duckdb_engine import Dialect
from superset import config

# Signs sessions. `serve.py` makes one of its own for every installation.
SECRET_KEY = Path(os.environ["SUPERSET_HOME"], "secret_key").read_text(encoding="utf-8")

# Pages may load nothing from other hosts, such as the pixel that reports each visit to the makers of Superset.
TALISMAN_CONFIG = config.TALISMAN_CONFIG | {
    "content_security_policy": {
        directive: [source for source in sources if "." not in source] if isinstance(sources, list) else sources
        for directive, sources in config.TALISMAN_CONFIG["content_security_policy"].items()
    }
}

# DuckDB reads a backslash in a string as it is. The driver's dialect is PostgreSQL's, which doubles it until it has
# asked the server: a unit with one in its name could not be chosen.
Dialect._backslash_escapes = False
