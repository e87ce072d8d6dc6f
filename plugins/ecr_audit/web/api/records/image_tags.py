"""Records of image tags: those that were overwritten, and how the tags of a repository were read."""

from __future__ import annotations

from datetime import date

from ecr_audit.web.api.records.record import Record, Utc


class TagMove(Record):
    table = "tag_moves"
    snapshot_date: date
    account_id: str
    account_name: str | None
    ou_id: str | None
    ou_path: str | None
    region: str
    repository_name: str
    repository_arn: str
    owner: str
    owner_source: str | None
    tag: str
    is_release: bool
    kind: str
    old_digest: str | None
    new_digest: str | None
    seen_before: Utc
    seen_after: Utc
    setting_before: str | None
    setting_after: str | None
    actor: str | None
    moved_at: Utc | None
    source_address: str | None
    user_agent: str | None
    event_id: str | None
    deleted_by: str | None
    deleted_at: Utc | None
    opened_by: str | None
    opened_at: Utc | None
    closed_by: str | None
    closed_at: Utc | None
    trail_outcome: str | None
    trail_message: str | None


class RepositoryImageTags(Record):
    table = "repository_image_tags"
    snapshot_date: date
    image_tags_date: date | None
    account_id: str
    account_name: str | None
    ou_id: str | None
    ou_path: str | None
    region: str
    repository_name: str
    repository_arn: str
    owner: str
    owner_source: str
    outcome: str | None
    error_code: str | None
    error_message: str | None
    tags: int | None
    last_read_at: Utc | None
    nights_read: int
    nights_compared: int
    tags_added: int | None
    tags_removed: int | None
    moves: int
    tags_moved: int
    release_tags_moved: int
    tags_moved_though_immutable: int
    last_moved_at: Utc | None
    moved_release_tags: list[str]
    moved_immutable_tags: list[str]
    image_tags_unread: str | None
    moves_unknown: str | None
    nothing_moved: bool | None
