"""Reading untrusted files: without blocking, up to a maximum size, and validated against a model."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

# Far more than any document of the audit has: a commit of a thousand files is 100 KB.
MOST_BYTES = 16 << 20

T = TypeVar("T")


def read_bytes(path: Path, most: int = MOST_BYTES + 1) -> bytes:
    """The first bytes of a regular file. Raises OSError; also for a pipe, whose writer it does not wait for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 (hex) of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_json(content: bytes, model: TypeAdapter[T]) -> T:
    """A JSON document, as its model has it: neither deeper than pydantic reads nor longer than MOST_BYTES.

    Raises ValueError, whose message is one line that names the first fault.
    """
    if len(content) > MOST_BYTES:
        raise ValueError(f"longer than {MOST_BYTES:,} bytes")
    try:
        return model.validate_json(content, strict=True)
    except ValidationError as fault:
        first = fault.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where[:100]!r}: {first['msg'][:300]}" if where else first["msg"][:300]) from None


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is below a folder, once links are followed; a missing file counts by its name."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links; a NUL in the name
        return False
