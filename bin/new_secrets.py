"""Writes .env for docker-compose.yaml: .env.example, with a fresh secret for each that it leaves empty.

Also creates the folder files/ beside it, which the containers mount as /files; Docker would create it as root.

`make secrets` calls this. It needs only the standard library, since a deployment need not set up the audit.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main(folder: Path = ROOT) -> int:
    """Write `folder`/.env, readable by its owner only; returns 1, without changes, if it exists."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    text = re.sub(r"^(\w+)=$", lambda found: f"{found[1]}={_new(found[1])}", example, flags=re.MULTILINE)
    path = folder / ".env"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{path} already exists and was not changed. To create new secrets, move it away first.")
        return 1
    for files in ("files/pages", "files/callbacks"):
        (folder / files).mkdir(parents=True, exist_ok=True)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(text)
    print(f"{path} written, with new secrets. Keep a copy: restoring a backup needs AIRFLOW_FERNET_KEY.")
    return 0


def _new(name: str) -> str:
    """32 random bytes in letters, digits, - and _, which neither .env nor an address needs to escape."""
    if name == "AIRFLOW_FERNET_KEY":  # its format requires the padding
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(32)


if __name__ == "__main__":
    sys.exit(main())
