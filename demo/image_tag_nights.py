"""Image tags of nights of the demo that no audit read: their parts are written as a scan would, then committed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time

import pyarrow.parquet as pq

from demo.emulated_aws.world import Repository
from demo.image_tags import tags_of, with_images
from ecr_audit.aws.ecr.image_tags import TagRead
from ecr_audit.aws.outcomes import Outcome
from ecr_audit.image_tags.history import commit_tags
from ecr_audit.image_tags.parts import write_part
from ecr_audit.image_tags.plan import TagPlan, make_plan
from ecr_audit.lake.commits import commit_name
from ecr_audit.lake.lake import Lake
from ecr_audit.settings import Settings

_PLANNED = ["account_id", "region", "repository_name", "repository_arn", "image_tag_mutability", "exclusion_filters"]


def write_image_tags(lake: Lake, nights: Iterable[tuple[date, int]], settings: Settings) -> None:
    """Commit the image tags of scanned nights, given as (date, how many nights ago), oldest first.

    Those that the lake has are replaced: a night goes on from the one before it.
    """
    for day in lake.snapshot_dates("image_tags"):
        lake.storage.remove_file(commit_name("image_tags", day))
    for day, nights_ago in nights:
        write_night_parts(lake, plan := make_plan(lake, day, settings), nights_ago)
        commit_tags(lake, plan.snapshot_date, settings.retention_days)


def write_night_parts(lake: Lake, plan: TagPlan, nights_ago: int) -> None:
    """Write the parts of a plan, with the tags of some nights ago."""
    with lake.storage.local(f"{plan.folder}/{plan.file}") as path:
        planned = pq.read_table(path, columns=[*_PLANNED, "batch", "is_read"]).to_pylist()
    for batch in plan.batches:
        with write_part(lake, plan, batch) as part:
            for row in planned:
                if not row["is_read"] or row["batch"] != batch:
                    continue
                repository = Repository(
                    row["repository_name"],
                    image_tag_mutability=row["image_tag_mutability"],
                    exclusion_filters=tuple(row["exclusion_filters"]),
                )
                target = row["account_id"], row["region"]
                read = TagRead(repository.name, tags_of(with_images(target, repository, nights_ago)), 1)
                read.read_at = datetime.combine(plan.snapshot_date, time(2, 30), UTC)
                read.end(Outcome.COLLECTED)
                part.add(row["account_id"], [(row["repository_arn"], read)])
