"""Paths of organizational units: names from the root down with slashes between them, `Root/Prod/Payments`.

A name may hold a slash itself. In a path that slash is written `%2F`: a unit "CI/CD" under the root is
`Root/CI%2FCD`, while `Root/CI/CD` is the unit CD in the unit CI. So that this can be undone, a name that holds `%2F` or
`%25` letter for letter has that percent sign written `%25`. Every other name stays as it is, and a path can be split at
its slashes wherever it goes. Siblings have different names (DuplicateOrganizationalUnitException, AWS Organizations API
Reference), so that a path names one unit of a night. A unit's id stays when the unit is renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# Ids of the root and of organizational units (CreateOrganizationalUnit, AWS Organizations API Reference).
UNIT_ID = re.compile(r"r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}")

_MEANT = {"%2F": "/", "%25": "%"}


def join_names(names: Iterable[str]) -> str:
    """The path of a unit, given its name and those of the units above it, from the root down."""
    return "/".join(re.sub("%(?=2F|25)", "%25", name).replace("/", "%2F") for name in names)


def split_path(path: str) -> list[str]:
    """The names of a path, from the root down: what `join_names` was given."""
    return [re.sub("%2F|%25", lambda escape: _MEANT[escape[0]], part) for part in path.split("/")]
