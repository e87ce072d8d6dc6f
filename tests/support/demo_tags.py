"""Image tags of the demo's history: read for its newest nights, the last of which is evaluated again with the moves."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

from demo.image_tag_nights import write_night_parts
from ecr_audit.catalog import Catalog
from ecr_audit.catalog.waivers import load_waivers
from ecr_audit.compliance import KnownWaivers, evaluate, roll_up
from ecr_audit.image_tags.history import commit_tags
from ecr_audit.image_tags.plan import make_plan
from ecr_audit.lake.lake import Lake
from ecr_audit.lake.schemas import STAGES
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import ImageTags
from support.lakes import committed


def read_image_tags(lake: Lake, catalog: Catalog, *, owner_tags: tuple[str, ...], nights: int = 3) -> None:
    """Read the image tags of the newest nights of a lake that `write_history` wrote, and evaluate the last one again.

    However far apart they are, they have the tags of successive nights, so that those of demo/image_tags.py move.
    """
    settings = Settings(image_tags=ImageTags.ALL, owner_tags=owner_tags)
    dates = lake.snapshot_dates("inventory")[-nights:]
    _commit_again(lake, dates[-1])
    for nights_ago, day in zip(reversed(range(len(dates))), dates, strict=True):
        plan = make_plan(lake, day, settings)
        write_night_parts(lake, plan, nights_ago)
        commit_tags(lake, day, settings.retention_days)
    run_time = datetime.combine(dates[-1], time(3), UTC)
    waivers = load_waivers(str(Path(lake.root).parent / "waivers.yaml"), catalog, settings.waiver_max_days)
    evaluate(lake, catalog, dates[-1], owner_tags=owner_tags, run_time=run_time)
    roll_up(lake, catalog, dates[-1], waivers=KnownWaivers(waivers, run_time))


def _commit_again(lake: Lake, day: date) -> None:
    """Commit an inventory again: the same one would be evaluated with the image tags of the time before, none."""
    commit = committed(lake, "inventory", day)
    tables = [(table, lake.read_table(commit, table)) for table in STAGES["inventory"]]
    with lake.writer("inventory", day) as writer:
        for table, rows in tables:
            writer.write(table, rows)
        writer.commit(commit.details)
