"""Whether a folder takes all that the lake and publishing do to folders: files, renames, folders moved whole, locks."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ecr_audit.doctor.results import Result, fail
from ecr_audit.lake.storage import locked

NO_LOCKS = (
    "The file system has no locks. On NFS start its lock service, or mount it with local_lock=flock if only this"
    " machine writes there; or use a local disk, or S3."
)


def check_folders(title: str, folders: Iterable[Path], lock: Path, fix: str) -> Result | None:
    """Try all folders that are there; the result of the first that fails, None when all is well.

    `lock`: the file that a night locks, tried in its own right when it is there. `fix`: for whatever is not about
    locks. A folder that the audit's user does not own is mostly what another user's run has left.
    """
    for folder in folders:
        doing = ["entered"]
        try:
            if folder.is_dir():
                _try(folder, doing)
        except OSError as error:
            return _failed(title, f"{folder} cannot be {doing[-1]}", error, fix)
    try:
        if lock.exists():
            with lock.open("a"):
                pass
    except OSError as error:
        return _failed(title, f"{lock} cannot be written", error, fix)
    return None


def _try(folder: Path, doing: list[str]) -> None:
    """Perform a night's operations on a folder. `doing` collects them for the message."""
    doing.append("written")
    aside = Path(tempfile.mkdtemp(prefix=".doctor-", dir=folder))
    moved = aside.with_name(f"{aside.name}-moved")
    try:
        probe = aside / "probe"
        with probe.open("wb") as file:
            file.write(b"A probe of the doctor's. It may be deleted.\n")
            file.flush()
            os.fsync(file.fileno())
        doing.append("used to rename files in")
        probe.replace(aside / "renamed")
        doing.append("used to change permissions in")
        aside.chmod(0o755)
        doing.append("used to rename folders in")
        aside.replace(moved)
        doing.append("locked")
        with locked(moved / "lock"):
            pass
        doing.append("cleaned up")
        shutil.rmtree(moved)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(moved, ignore_errors=True)


def _failed(title: str, found: str, error: OSError, fix: str) -> Result:
    return fail(title, f"{found}: {error}", NO_LOCKS if error.errno in (errno.ENOLCK, errno.ENOTSUP) else fix)
