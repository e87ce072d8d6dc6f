"""The regions that there are: as EC2 names them tonight, or else as it last did."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ecr_audit.aws.regions import Region, list_regions, region_of
from ecr_audit.aws.session import Hub
from ecr_audit.inventory.last_known import last_known_commit
from ecr_audit.lake.commits import Commit
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import SCAN_TARGETS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownRegions:
    """The regions in which ECR is offered, when EC2 named them (UTC; None: never), and why it did not tonight."""

    regions: Sequence[Region]
    read_at: datetime | None
    error: str | None = None


def known_regions(lake: Lake, hub: Hub, snapshot_date: date) -> KnownRegions:
    """The regions of the hub's partition, ordered by name.

    When EC2 does not name them, the list of the newest inventory counts, so that no region leaves the audit unnoticed.
    If no inventory has one either, it is botocore's list and the regions that were scanned before.
    """
    offered = list_regions(hub)
    if offered.doubt is None:
        return KnownRegions(offered.regions, datetime.now(UTC))
    known = last_known_commit(lake, snapshot_date)
    if known and known.details.get("regions_read_at"):
        regions = [Region(name, opt_in) for name, opt_in in known.details["regions"].items()]
        read_at = datetime.fromisoformat(known.details["regions_read_at"])
        log.warning("Using the list of regions that EC2 returned at %s instead.", read_at)
        return KnownRegions(regions, read_at, offered.doubt)
    scanned = [region_of(name, hub.partition) for name in _regions_of(lake, known)]
    by_name = {region.name: region for region in (*scanned, *offered.regions)}
    return KnownRegions([by_name[name] for name in sorted(by_name)], None, offered.doubt)


def with_named(regions: Sequence[Region], hub: Hub, names: Iterable[str]) -> list[Region]:
    """An older list of regions, with those of `names` that botocore knows: they may have opened since."""
    listed = {region.name for region in regions}
    wanted = set(hub.access.session.get_available_regions("ecr", hub.partition)) & set(names) - listed
    return sorted([*regions, *(region_of(name, hub.partition) for name in wanted)], key=lambda region: region.name)


def _regions_of(lake: Lake, commit: Commit | None) -> set[str]:
    if commit is None:
        return set()
    rows = lake.read_table(commit, SCAN_TARGETS, columns=["region"])
    return set(rows["region"].to_pylist())
