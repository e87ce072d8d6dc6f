"""Ninety nights of the demo organization, one of them missed, written straight into the lake.

`python -m demo.history` runs it. The nights end where `make audit` begins, so that it continues them. An
audit that is there already gets the repositories that a scan after these nights would have carried over, and is
evaluated again: its status history now begins earlier. Run again, the same nights are written again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.progress import track

from demo.emulated_aws.world import World
from demo.environment import ignored_in_demo
from demo.image_tag_nights import write_image_tags
from demo.rows import Row, Target, account_rows, registry_row, repository_row, target_row
from demo.story import NIGHTS, NOT_AUDITED, OUTAGE_NIGHT, OUTAGE_REGION, Story
from demo.waivers import write_waivers
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.catalog import Catalog, load_catalog
from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.compliance import KnownWaivers, evaluate, later_dates, roll_up
from ecr_audit.errors import FinalError
from ecr_audit.inventory.last_known import completed_repositories
from ecr_audit.lake.commits import FACETS, IMAGE_TAGS, ROTATION_NIGHTS
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import ACCOUNTS, REGISTRIES, REPOSITORIES, SCAN_TARGETS
from ecr_audit.lake.storage import LakeError
from ecr_audit.lake.tables import LakeTable
from ecr_audit.publish.build import publish
from ecr_audit.publish.completion import ExportError, complete
from ecr_audit.publish.sealing import seal_nights
from ecr_audit.publish.store import publication_store
from ecr_audit.settings import SQL_ROOT, Settings, load_data_folder
from ecr_audit.settings.evidence import demo_evidence
from ecr_audit.terminal import print_error
from ecr_audit.vocabulary import Facet, ImageTags

RUN_ID = "demo-history"

# ECR_AUDIT_IMAGE_TAGS was turned on as many nights before `make audit`.
IMAGE_TAG_NIGHTS = 30


@dataclass
class _Known:
    """The last known rows of a target: those of its repositories, and that of its registry, if it has one."""

    repositories: Sequence[Row] = ()
    registries: Sequence[Row] = ()

    def unobserved(self) -> _Known:
        """The same, carried over."""
        return _Known(*([row | {"observed": False} for row in rows] for rows in (self.repositories, self.registries)))


_Targets = dict[Target, _Known]


class HistoryError(FinalError):
    """The lake belongs to another organization."""


def write_history(
    lake: Lake,
    catalog: Catalog,
    today: date,
    *,
    owner_tags: tuple[str, ...],
    nights: Sequence[int] = range(NIGHTS),
    image_tag_nights: int = 0,
) -> list[date]:
    """Write nights of the story into the lake; evaluate them and all after them. Returns the dates that were written.

    `image_tag_nights`: the newest of them, whose image tags were read, and with them those of all nights after them.
    The demo's waivers count on each night that they were in force on; their file is written beside the lake.
    Raises HistoryError for a lake with snapshots of another organization.
    """
    last = _last_night(lake, today)
    story = Story(last - timedelta(days=NIGHTS - 1))
    _require_organization(lake, story.organization_id)
    # Two nights of `make audit` follow; the demo's day is that of the second.
    file = write_waivers(Path(lake.root).parent / "waivers.yaml", last + timedelta(days=2))
    accepted = load_waivers(str(file), catalog, Settings.model_fields["waiver_max_days"].default)
    waivers = KnownWaivers(accepted, datetime.now(UTC))
    known: _Targets = {}
    dates = list(_write_inventories(lake, story, nights, known, image_tag_nights))
    _carry_over(lake, known, later_dates(lake, dates[-1]))
    if image_tag_nights:
        read = [*dates[-image_tag_nights:], *later_dates(lake, dates[-1])]
        settings = Settings(image_tags=ImageTags.OVERWRITABLE, owner_tags=owner_tags)
        # The second night of `make audit` is now; what it found stays as it is.
        write_image_tags(lake, ((day, max(0, (last - day).days + 2)) for day in read), settings)
    for day in track([dates[0], *later_dates(lake, dates[0])], "Evaluating the nights"):
        evaluate(lake, catalog, day, owner_tags=owner_tags, run_time=datetime.combine(day, time(3), UTC))
        roll_up(lake, catalog, day, waivers=waivers)
    return dates


def _last_night(lake: Lake, today: date) -> date:
    """The one before the audits begin; without audits, that of the history which is there already."""
    days = lake.snapshot_dates("inventory")
    own = [day for day in days if _details(lake, day).get("run_id") == RUN_ID]
    if audited := sorted(set(days) - set(own)):
        return audited[0] - timedelta(days=1)
    # `make audit` begins with yesterday's night.
    return own[-1] if own else today - timedelta(days=2)


def _require_organization(lake: Lake, organization_id: str) -> None:
    for day in lake.snapshot_dates("inventory")[-1:]:
        if (found := _details(lake, day)["organization_id"]) != organization_id:
            raise HistoryError(
                f"ECR_AUDIT_DATA: {lake.root} holds the snapshots of organization {found}. The demo's history, of"
                f" {organization_id}, needs a folder of its own, such as ./data"
            )


def _details(lake: Lake, day: date) -> Any:
    commit = lake.read_commit("inventory", day)
    return commit.details if commit else {}


def _write_inventories(
    lake: Lake, story: Story, nights: Sequence[int], known: _Targets, image_tag_nights: int
) -> Iterator[date]:
    """Write the inventories of nights and return their dates; `known` is then what the last of them knows."""
    with_tags = nights[-image_tag_nights:] if image_tag_nights else ()
    for night in nights:
        if night == NOT_AUDITED:
            continue
        day, world = story.first + timedelta(days=night), story.world(night)
        outage = OUTAGE_REGION if night == OUTAGE_NIGHT else None
        started_at = datetime.combine(day, time(2), UTC)
        targets = _scan(world, started_at, known, outage)
        accounts = account_rows(world, started_at)
        repositories = (row for each in known.values() for row in each.repositories)
        registries = (row for each in known.values() for row in each.registries)
        _commit(
            lake,
            day,
            [
                (table, pa.Table.from_pylist(list(rows), schema=table.schema))
                for table, rows in (
                    (ACCOUNTS, accounts),
                    (SCAN_TARGETS, targets),
                    (REPOSITORIES, repositories),
                    (REGISTRIES, registries),
                )
            ],
            {
                "run_id": RUN_ID,
                "organization_id": world.organization_id,
                "hub_account_id": world.hub_account_id,
                FACETS: list(Facet),
                ROTATION_NIGHTS: 1,
                IMAGE_TAGS: ImageTags.OVERWRITABLE if night in with_tags else ImageTags.OFF,
            },
        )
        yield day


def _carry_over(lake: Lake, known: _Targets, audited: Sequence[date]) -> None:
    """Add to audited nights what is known of targets that they could not read and have no repository of.

    A scan takes these from the night before it; when these nights were scanned, there was none.
    """
    for day in audited:
        commit = lake.read_commit("inventory", day)
        if commit is None:
            continue
        accounts = ACCOUNTS.completed(lake.read_table(commit, ACCOUNTS))
        targets = SCAN_TARGETS.completed(lake.read_table(commit, SCAN_TARGETS))
        repositories = completed_repositories(lake.read_table(commit, REPOSITORIES))
        present = set(zip(*(repositories[name].to_pylist() for name in ("account_id", "region")), strict=True))
        missing = [
            known[target].unobserved()
            for row in targets.to_pylist()
            if row["outcome"] != Outcome.COLLECTED
            and (target := (row["account_id"], row["region"])) in known
            and target not in present
        ]
        if any(each.repositories for each in missing):
            registries = (
                lake.read_table(commit, REGISTRIES)
                if REGISTRIES.since <= commit.schema_version
                else REGISTRIES.schema.empty_table()
            )
            added = [row for each in missing for row in each.repositories]
            added_registries = [row for each in missing for row in each.registries]
            tables = [
                (ACCOUNTS, accounts),
                (SCAN_TARGETS, targets),
                (REPOSITORIES, _with_rows(repositories, added, REPOSITORIES)),
                (REGISTRIES, _with_rows(registries, added_registries, REGISTRIES)),
            ]
            _commit(lake, day, tables, commit.details)


def _with_rows(rows: pa.Table, added: Sequence[Row], table: LakeTable) -> pa.Table:
    return pa.concat_tables([rows.cast(table.schema), pa.Table.from_pylist(list(added), schema=table.schema)])


def _commit(lake: Lake, day: date, tables: Sequence[tuple[LakeTable, pa.Table]], details: Mapping[str, Any]) -> None:
    with lake.writer("inventory", day) as writer:
        for table, rows in tables:
            writer.write(table, rows)
        writer.commit(details)


def _scan(world: World, started_at: datetime, known: _Targets, outage: str | None) -> list[Row]:
    """The rows of scan_targets of a night; `known` is brought up to date.

    As a real scan has it: what cannot be read tonight stays as it was last known, `observed` = false.
    """
    rows = []
    for target in world.targets():
        outcome = Outcome(world.outcome(*target))
        if target[1] == outage and outcome is Outcome.COLLECTED:
            outcome = Outcome.FAILED
        if outcome is Outcome.COLLECTED:
            repositories = [repository_row(world, target, each, started_at) for each in world.repositories(*target)]
            known[target] = _Known(repositories, [registry_row(world, target, started_at)] if repositories else ())
        elif target in known:
            known[target] = known[target].unobserved()
        rows.append(target_row(world, target, outcome, started_at))
    return rows


def main() -> int:
    """Write the history into the demo's data folder and publish it; returns the exit code."""
    # Only the folder is taken from the environment: other settings may be there for a real organization.
    if ignored := ignored_in_demo(os.environ):
        sys.stdout.write(f"{ignored}\n")
    try:
        data = load_data_folder()
        settings = Settings.model_construct(data=data, evidence=demo_evidence(data))
        lake, catalog = Lake(settings.lake_root), load_catalog(SQL_ROOT)
        today = datetime.now(UTC).date()
        dates = write_history(lake, catalog, today, owner_tags=settings.owner_tags, image_tag_nights=IMAGE_TAG_NIGHTS)
        store = publication_store(settings)
        sealed = seal_nights(lake, settings)
        publication = publish(lake, catalog, store, owner_tags=settings.owner_tags, options=settings, sealed=sealed)
        complete(lake, store, settings)
    except (FinalError, LakeError, ExportError) as fault:
        print_error(fault)
        return 1
    sys.stdout.write(f"{len(dates)} nights, {dates[0]} to {dates[-1]}. Published: {publication.address}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
