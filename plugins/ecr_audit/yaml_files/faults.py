"""Faults of YAML files, such as the catalog's, collected so that all are reported together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ecr_audit import text
from ecr_audit.errors import FinalError

MOST_LISTED = 100


class CatalogError(FinalError):
    """The catalog cannot be used. `faults` holds every fault found, each as `path:line: what is wrong`, sorted."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(faults)  # the same argument, for pickle: see own_process.py
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join([f"The catalog has {text.plural(len(self.faults), 'fault')}:", *self.faults])


class Faults:
    """Collects faults; paths are shown relative to `base`."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._found: list[tuple[str, int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def at(self, path: Path, line: int) -> str:
        """The place as people and editors write it, `sql/policies/…/policy.yaml:12`."""
        return f"{self._shown(path)}:{line}"

    def add(self, path: Path, line: int, what: str) -> None:
        self._found.append((self._shown(path), line, what))

    def listed(self) -> list[str]:
        """Every fault as `path:line: message`, sorted; if there are very many, the first and the number of others."""
        first = [f"{path}:{line}: {what}" for path, line, what in sorted(self._found)[:MOST_LISTED]]
        return [*first, f"and {len(self._found) - MOST_LISTED:,} more"] if len(self._found) > MOST_LISTED else first

    def raise_if_any(self) -> None:
        if self._found:
            raise CatalogError(self.listed())

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._base).as_posix()


def nearest(name: str, valid: Iterable[str]) -> str:
    """The valid name most like `name`, as the end of a sentence; without one that is alike, all valid names."""
    names = sorted(valid)
    if alike := text.nearest(name, names):
        return f"Nearest: {alike}"
    return f"Valid: {', '.join(names)}" if names else "There are no valid values"
