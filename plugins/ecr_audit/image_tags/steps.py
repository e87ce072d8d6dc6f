"""The steps of reading image tags, as the tasks of the DAG call them: settings in, small values out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ecr_audit.hidden_modules import hidden_modules
from ecr_audit.image_tags.history import commit_tags
from ecr_audit.image_tags.plan import TagPlanError, make_plan, read_plan
from ecr_audit.lake.lake import open_lake
from ecr_audit.lake.schemas import IMAGE_TAG_READS, TAG_MOVES
from ecr_audit.settings import load_settings
from ecr_audit.text import plural
from ecr_audit.vocabulary import ImageTags

if TYPE_CHECKING:
    from ecr_audit.aws.session import Hub

log = logging.getLogger(__name__)


def choose_snapshot(committed: Sequence[str]) -> str | None:
    """The newest inventory that was just committed, or else that of ECR_AUDIT_SNAPSHOT_DATE, or the newest.

    None when there is nothing to read, which is logged: ECR_AUDIT_IMAGE_TAGS is off, or the tags of a later night are
    committed, since AWS returns only the present state.
    """
    settings = load_settings()
    if settings.image_tags is ImageTags.OFF:
        log.info("ECR_AUDIT_IMAGE_TAGS is off")
        return None
    lake = open_lake(settings)
    wanted = [settings.snapshot_date] if settings.snapshot_date else lake.snapshot_dates("inventory")[-1:]
    dates = sorted(committed) or [day.isoformat() for day in wanted]
    if not dates:
        raise TagPlanError(f"{settings.lake_root} has no snapshots yet: run ecr_inventory first.")
    if later := [day for day in lake.snapshot_dates("image_tags") if day.isoformat() > dates[-1]]:
        log.info("The image tags of %s are not read again: those of %s are committed", dates[-1], later[-1])
        return None
    return dates[-1]


@hidden_modules("pyarrow.dataset")
def plan(snapshot_date: str) -> list[int]:
    """Plan which repositories are read, and cut them into batches. Returns the batches' numbers."""
    settings = load_settings()
    made = make_plan(open_lake(settings), date.fromisoformat(snapshot_date), settings)
    log.info("Planned %s of repositories", plural(len(made.batches), "batch", "batches"))
    return list(made.batches)


@hidden_modules("pandas")
def read(hub: Hub, snapshot_date: str, batch: int, run_id: str) -> None:
    """Read the image tags of one batch and write its part."""
    from ecr_audit.image_tags.read import read_batch  # late: the other steps call nothing of AWS but its S3

    settings = load_settings()
    lake = open_lake(settings)
    summary = read_batch(lake, hub, read_plan(lake, date.fromisoformat(snapshot_date)), batch, settings, run_id)
    outcomes = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(summary.outcomes.items()))
    log.info("Batch %d: %s tags, repositories: %s", batch, f"{summary.tags:,}", outcomes or "none")


@hidden_modules("pyarrow.dataset")
def commit(snapshot_date: str) -> str:
    """Compare with the night before, and commit. Returns a sentence on what moved."""
    settings = load_settings()
    lake = open_lake(settings)
    committed = commit_tags(lake, date.fromisoformat(snapshot_date), settings.retention_days)
    columns = ["complete", "compared", "tags_added", "tags_removed"]
    reads = lake.read_table(committed, IMAGE_TAG_READS, columns)
    complete, compared, added, removed = (pc.sum(reads[name]).as_py() or 0 for name in columns)
    overwritten = committed.rows[TAG_MOVES.name]
    message = (
        f"Image tags of {snapshot_date}: {plural(complete, 'repository', 'repositories')} of {reads.num_rows:,} read,"
        f" {compared:,} compared with an earlier night: {plural(overwritten, 'tag')} overwritten,"
        f" {added:,} added, {removed:,} removed."
    )
    if first := complete - compared:
        message += f" There is nothing yet to compare the other {first:,} with."
    log.info("%s", message)
    return message


def read_trail(snapshot_date: str) -> str | None:
    """Look in the organization's trail for those who overwrote tags in the night, and again for those of the night
    before who were not found then. Returns a sentence on it; None without ECR_AUDIT_CLOUDTRAIL."""
    settings = load_settings()
    if settings.cloudtrail is None:
        return None
    from ecr_audit.image_tags.actors import commit_actors, describe_actors  # late, as above

    lake, night = open_lake(settings), date.fromisoformat(snapshot_date)
    messages = []
    for day in reversed([day for day in lake.snapshot_dates("image_tags") if day <= night][-2:]):
        inventory = lake.read_commit("inventory", day)
        organization_id = str(inventory.details.get("organization_id") or "") if inventory else ""
        committed = commit_actors(lake, day, settings.cloudtrail, organization_id, settings.batch_seconds / 2)
        if committed is not None:
            messages.append(describe_actors(lake, committed))
    return " ".join(messages) or "No tag was overwritten whose actor is not known."
