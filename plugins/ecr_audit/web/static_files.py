"""Routes for the files of static/: a mounted folder would be readable without a login."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_FILES = {
    path.name: path.read_bytes()
    for path in sorted((Path(__file__).parent / "static").iterdir())
    if path.suffix in _TYPES
}

# Changes when any of the files does; part of their addresses.
VERSION = hashlib.sha256(b"".join(_FILES.values())).hexdigest()[:12]

router = APIRouter(include_in_schema=False)


@router.get("/static/{name}")
def static_file(name: str) -> Response:
    """A file of static/, which browsers may keep: a changed one has another address."""
    if name not in _FILES:
        raise HTTPException(404)
    return Response(
        _FILES[name],
        media_type=_TYPES[Path(name).suffix],
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )
