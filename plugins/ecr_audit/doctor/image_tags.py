"""The use and the cost of reading image tags, while ECR_AUDIT_IMAGE_TAGS is off."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.compute as pc

from ecr_audit.doctor.results import Result, ok
from ecr_audit.lake.lake import open_lake
from ecr_audit.lake.schemas import REPOSITORIES
from ecr_audit.settings import Settings
from ecr_audit.vocabulary import ImageTags, image_tags_offer

IMAGE_TAGS = "Image tags"


def offer_image_tags(settings: Settings) -> Iterator[Result]:
    """Estimate it from the newest inventory; nothing when image tags are read, or before the first inventory."""
    if settings.image_tags is not ImageTags.OFF:
        return
    lake = open_lake(settings)
    dates = lake.snapshot_dates("inventory")
    newest = lake.read_commit("inventory", dates[-1]) if dates else None
    if newest is None:
        return
    rows = lake.read_table(newest, REPOSITORIES, ["image_tag_mutability", "observed"])
    # The only setting under which no tag can be overwritten; see overwritable_tags in sql/staging/repositories.sql.
    closed = pc.equal(pc.utf8_upper(pc.utf8_trim_whitespace(rows["image_tag_mutability"])), "IMMUTABLE")
    open_now = pc.and_(pc.invert(pc.fill_null(closed, False)), rows["observed"])
    yield ok(IMAGE_TAGS, image_tags_offer(pc.sum(open_now).as_py() or 0))
