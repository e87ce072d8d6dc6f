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

from pyarrow import fs
from pydantic import TypeAdapter

from ecr_audit.place import is_on_s3
from ecr_audit.s3 import S3, S3_ERRORS
from ecr_audit.untrusted_files import MOST_BYTES, is_inside, parse_json, read_bytes

T = TypeVar("T")


class LakeError(RuntimeError):
    """The lake cannot be read or written; the message names the file and what is wrong with it."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time holds a lock file; the lock falls with the process that holds it.

    Raises OSError, also for a file system that has no locks (ENOLCK).
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Storage:
    """What a lake is kept in. Names are relative to its root, in errors it is called by its setting."""

    def __init__(self, root: str, encryption: str | None = None) -> None:
        """`encryption`: see `S3`; a folder knows nothing of it."""
        self.root = root
        self._s3 = S3(root, encryption) if is_on_s3(root) else None
        if self._s3:
            try:
                region = f"?region={self._s3.region}" if self._s3.region else ""
            except S3_ERRORS as fault:
                raise LakeError(f"ECR_AUDIT_LAKE: '{root}' cannot be reached ({fault})") from fault
            self._fs, self._base = fs.FileSystem.from_uri(f"{self._s3.url}{region}")
        else:
            path = Path(root).absolute()
            self._fs, self._base = fs.LocalFileSystem(), str(path)

    @property
    def is_local(self) -> bool:
        """Whether the lake is a folder of this machine."""
        return self._s3 is None

    @property
    def filesystem(self) -> fs.FileSystem:
        """The file system that `absolute` names places in."""
        return self._fs

    # Reading

    def exists(self, relative: str) -> bool:
        """Whether there is such a file. It is asked for by name, not looked for in a listing, which may be late."""
        return bool(self._fs.get_file_info(self.absolute(relative)).type == fs.FileType.File)

    def files(self, relative: str) -> list[str]:
        """Relative names of the files under a folder of the lake, sorted; empty when there is no such folder."""
        selector = fs.FileSelector(self.absolute(relative), recursive=True, allow_not_found=True)
        infos = self._fs.get_file_info(selector)
        return sorted(info.path.removeprefix(f"{self._base}/") for info in infos if info.type == fs.FileType.File)

    def folders(self, relative: str) -> list[str]:
        """Names of the folders directly under a folder of the lake."""
        selector = fs.FileSelector(self.absolute(relative), allow_not_found=True)
        return sorted(info.base_name for info in self._fs.get_file_info(selector) if info.type == fs.FileType.Directory)

    def absolute(self, relative: str) -> str:
        """The location, within `filesystem`, of a name relative to the lake. Raises LakeError if it leads elsewhere."""
        location = f"{self._base}/{relative}"
        if self.is_local and not is_inside(Path(location), Path(self._base)):
            raise LakeError(f"{location!r} leads out of the lake, by a link or by its name")
        return location

    def fetch(self, relative: str, local: Path) -> None:
        """Copy a file of the lake to a local place; within a local lake it is a hard link, which costs nothing."""
        source = self.absolute(relative)
        try:
            if self.is_local:
                try:
                    os.link(source, local)
                except OSError:  # another disk, or a file system without links
                    shutil.copyfile(source, local)
            else:
                with self._fs.open_input_stream(source) as stream, local.open("wb") as sink:
                    shutil.copyfileobj(stream, sink, 1 << 20)
        except OSError as fault:
            raise LakeError(f"{source}: cannot be read ({fault})") from fault

    def read_document(self, relative: str, model: TypeAdapter[T]) -> T:
        """A JSON document, as its model has it. Raises FileNotFoundError, and LakeError when it is anything else."""
        location = self.absolute(relative)
        try:
            return parse_json(self._read_bytes(location), model)
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as fault:
            raise LakeError(f"{location}: not readable ({fault})") from fault

    def _read_bytes(self, location: str) -> bytes:
        if self.is_local:
            return read_bytes(Path(location))
        with self._fs.open_input_stream(location) as stream:
            return bytes(stream.read(MOST_BYTES + 1))

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
        """Put a finished local file at a place in the lake, replacing what is there, in one atomic step."""
        target = self.absolute(relative)
        try:
            if self._s3:
                self._s3.put(local, relative)
                local.unlink()
            else:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                with local.open("rb+") as file:
                    os.fsync(file.fileno())  # content before name: a power cut must not leave an empty file
                local.replace(target)
        except (OSError, *S3_ERRORS) as fault:
            raise LakeError(f"{target}: cannot be written ({fault})") from fault

    def remove_folder(self, relative: str) -> None:
        """Remove a folder of the lake and all that is in it."""
        if self._s3:
            try:
                self._s3.delete(self._s3.names(f"{relative}/"))
            except S3_ERRORS as fault:
                raise LakeError(f"{self.absolute(relative)}: cannot be removed ({fault})") from fault
        else:
            shutil.rmtree(self.absolute(relative))

    def remove_file(self, relative: str) -> None:
        """Remove a file of the lake."""
        if self._s3:
            try:
                self._s3.delete([relative])
            except S3_ERRORS as fault:
                raise LakeError(f"{self.absolute(relative)}: cannot be removed ({fault})") from fault
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
    def _locked(self, relative: str) -> Iterator[None]:
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
