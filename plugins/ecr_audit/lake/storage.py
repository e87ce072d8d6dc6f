"""Files at a folder of this machine or at a place on S3, of which each is there whole or not at all.

A file is written in a local scratch folder, then moved in under its name in one step.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from ecr_audit.lake.s3 import S3, S3Error, open_place
from ecr_audit.untrusted_files import MOST_BYTES, is_inside, parse_json, read_bytes

T = TypeVar("T")


class LakeError(RuntimeError):
    """The lake cannot be read or written; the message names the file and the fault."""


class MissingFileError(LakeError):
    """A file that is asked for by its name is not in the lake."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time holds a lock file; the lock falls with the process that holds it.

    Raises OSError, also for a file system that has no locks (ENOLCK).
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, which costs nothing; a copy on another disk, or on a file system without links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


class Storage:
    """The folder or the place on S3 that a lake is kept in. Names are relative to it. All methods raise LakeError."""

    def __init__(self, root: str, encryption: str | None = None) -> None:
        """`encryption`: see `S3`; a folder knows nothing of it. Nothing is read or written yet."""
        self.root = root
        place = open_place(root, encryption)
        self._s3 = place if isinstance(place, S3) else None
        self._base = self._s3.url if self._s3 else str(Path(root).absolute())

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return self._s3 is None

    def absolute(self, relative: str) -> str:
        """The whole name of a file or folder of the lake: a local path, or s3://bucket/key.

        Raises LakeError for a path that leads elsewhere.
        """
        location = f"{self._base}/{relative}"
        if self.is_local and not is_inside(Path(location), Path(self._base)):
            raise LakeError(f"{location!r} is outside the lake, by a link or its name")
        return location

    # Reading

    def exists(self, relative: str) -> bool:
        """Whether there is such a file. It is asked for by name, not looked for in a listing, which may be late."""
        with self._reporting(relative, "read"):
            return self._s3.exists(relative) if self._s3 else Path(self.absolute(relative)).is_file()

    def files(self, relative: str) -> list[str]:
        """Relative names of the files under a folder of the lake, sorted; empty if it does not exist."""
        with self._reporting(relative, "listed"):
            if self._s3:
                # A name that ends with a slash stands for a folder, in the consoles of stores.
                return sorted(name for name in self._s3.names(f"{relative}/") if not name.endswith("/"))
            folder = Path(self.absolute(relative))
            return sorted(str(path.relative_to(self._base)) for path in folder.rglob("*") if path.is_file())

    def folders(self, relative: str) -> list[str]:
        """Names of the folders directly under a folder of the lake, sorted; empty if it does not exist."""
        with self._reporting(relative, "listed"):
            if self._s3:
                return sorted(self._s3.folders(f"{relative}/"))
            folder = Path(self.absolute(relative))
            return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def read(self, relative: str) -> bytes | None:
        """The content of a small file, at most as much as `parse_json` takes; None when the file does not exist."""
        with self._reporting(relative, "read"):
            if self._s3:
                return self._s3.get(relative, MOST_BYTES + 1)
            try:
                return read_bytes(Path(self.absolute(relative)))
            except FileNotFoundError:
                return None

    def read_document(self, relative: str, model: TypeAdapter[T]) -> T | None:
        """A JSON document, checked against its model; None when the file does not exist."""
        content = self.read(relative)
        try:
            return None if content is None else parse_json(content, model)
        except ValueError as fault:
            raise LakeError(f"{self.absolute(relative)}: not readable ({fault})") from fault

    def fetch(self, relative: str, local: Path) -> None:
        """Copy a file of the lake to a local place; within a local lake it is a hard link, which costs nothing.

        Raises MissingFileError.
        """
        with self._reporting(relative, "read"):
            if self._s3:
                self._s3.download(relative, local)
                return
            link_or_copy(Path(self.absolute(relative)), local)

    def fetched(self, relative: str, folder: Path) -> Path:
        """A file in a folder: a hard link, or a copy from S3; made if it is not there.

        So it can be read to its end when its date is committed again meanwhile, which removes it from the lake. Where
        no link can be made, as to another disk, a local file stays at its own path.
        Raises MissingFileError for a copy of what does not exist; whether a local file exists is not looked at.
        """
        copy = folder / relative
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not self.is_local:
                self.fetch(relative, copy)
                return copy
            own = Path(self.absolute(relative))
            try:
                os.link(own, copy)
            except OSError:
                return own
        return copy

    @contextmanager
    def local(self, relative: str) -> Iterator[Path]:
        """The file of a local lake, or a temporary copy from S3 for the block.

        Who opens it in the block may read on after it. Raises MissingFileError.
        """
        if self.is_local:
            path = Path(self.absolute(relative))
            with self._reporting(relative, "read"):
                if not path.is_file():  # a pipe would be waited for
                    raise FileNotFoundError
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="ecr-audit-") as folder:
            self.fetch(relative, copy := Path(folder, "copy"))
            yield copy

    # Writing

    @contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """A local folder for files that are to be moved into the lake. Removed when the block ends.

        Beside a local lake, so that moving is a rename. One that a killed writer of this name left is removed first.
        """
        try:
            if self.is_local:
                parent = Path(self._base, "_scratch")
                parent.mkdir(parents=True, exist_ok=True)
                for leftover in parent.glob(f"{name}.*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
            else:
                folder = Path(tempfile.mkdtemp(prefix=f"{name}."))
        except OSError as fault:
            raise LakeError(f"ECR_AUDIT_LAKE: '{self.root}' cannot be written ({fault})") from fault
        try:
            yield folder
        except OSError as fault:
            if fault.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise LakeError(f"ECR_AUDIT_LAKE: no space left at '{folder}' ({fault})") from fault
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def move_in(self, local: Path, relative: str) -> None:
        """Put a finished local file at a place in the lake atomically, replacing an existing one."""
        with self._reporting(relative, "written"):
            if self._s3:
                self._s3.put(local, relative)
                local.unlink()
                return
            target = Path(self.absolute(relative))
            target.parent.mkdir(parents=True, exist_ok=True)
            with local.open("rb+") as file:
                os.fsync(file.fileno())  # content before name: a power cut must not leave an empty file
            local.replace(target)

    def remove_folder(self, relative: str) -> None:
        """Remove a folder of the lake and all that is in it."""
        with self._reporting(relative, "removed"):
            if self._s3:
                self._s3.delete(self._s3.names(f"{relative}/"))
            else:
                shutil.rmtree(self.absolute(relative))

    def remove_file(self, relative: str) -> None:
        """Remove a file of the lake."""
        with self._reporting(relative, "removed"):
            if self._s3:
                self._s3.delete([relative])
            else:
                Path(self.absolute(relative)).unlink()

    def remove_scratch(self, before: datetime) -> int:
        """Remove the scratch folders that killed writers left: those last changed before a time. Returns how many.

        On S3 they are in the temporary folder of the machine, which is not the lake's to clean.
        """
        if not self.is_local:
            return 0
        old = [path for path in Path(self._base, "_scratch").glob("*") if path.stat().st_mtime < before.timestamp()]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    @contextmanager
    def locked(self, relative: str) -> Iterator[None]:
        """One process at a time holds a lock file of a local lake.

        S3 has no lock: there the DAGs' `max_active_runs=1` keeps committers apart.
        """
        if not self.is_local:
            yield
            return
        lock = Path(self.absolute(relative))
        with ExitStack() as held:
            try:
                lock.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(lock))
            except OSError as fault:
                raise LakeError(f"ECR_AUDIT_LAKE: '{lock}' cannot be locked ({fault})") from fault
            yield

    @contextmanager
    def _reporting(self, relative: str, done: str) -> Iterator[None]:
        """Make whatever the disk or S3 raises a LakeError that says of which file, and what could not be `done`."""
        try:
            yield
        except (OSError, S3Error) as fault:
            named = f"ECR_AUDIT_LAKE: '{self.absolute(relative)}' cannot be {done}"
            if isinstance(fault, FileNotFoundError):
                raise MissingFileError(f"{named} (the file does not exist)") from fault
            raise LakeError(f"{named} ({fault})") from fault
