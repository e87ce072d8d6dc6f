"""The image tags of a repository, as its page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from ecr_audit.web.page import Page
from ecr_audit.web.published import Row

# Tags that were overwritten; the page of tag moves has all.
SHOWN = 50


@dataclass(frozen=True)
class ImageTags:
    """A repository's image tags: how they were read, those that were overwritten, and the history of one of them."""

    # The row of repository_image_tags; None where they were never to be read, and for a deleted repository.
    read: Row | None
    moved: list[Row]
    tag: str | None
    timeline: list[Row]


def image_tags_of(page: Page, repository_arn: str, tag: str | None) -> ImageTags:
    """The image tags of a repository; `tag` is the one whose history is shown."""
    return ImageTags(
        read=page.row("repository/image_tags", arn=repository_arn),
        moved=page.rows("repository/moved_tags", arn=repository_arn, shown=SHOWN),
        tag=tag,
        timeline=page.rows("repository/tag_timeline", arn=repository_arn, tag=tag) if tag else [],
    )
