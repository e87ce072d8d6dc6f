"""Tables of the stage image_tags: the digests that tags point to, how they were read, and which were overwritten."""

from __future__ import annotations

import pyarrow as pa

from ecr_audit.lake.tables import TIMESTAMP, LakeTable

# An interval in which a tag pointed at a digest, as complete reads of its repository found it. A night holds all of
# them, so that only the newest nights have the table: see `TAG_MOVES` for what stays.
IMAGE_TAGS = LakeTable(
    "image_tags",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("repository_arn", pa.string()),
            ("tag", pa.string()),
            ("digest", pa.string()),
            # The complete reads that found it first and last.
            ("first_seen", TIMESTAMP),
            ("last_seen", TIMESTAMP),
            # The last complete read found it. False: it was moved or removed since, or the repository was deleted.
            ("is_current", pa.bool_()),
        ]
    ),
    ("account_id", "repository_arn", "tag", "first_seen"),
    since=7,
    identified_by=("repository_arn", "tag", "first_seen"),
)

# How the image tags of a repository of the night's inventory were read.
IMAGE_TAG_READS = LakeTable(
    "image_tag_reads",
    pa.schema(
        [
            ("repository_arn", pa.string()),
            ("account_id", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            # One of those of scan_targets; null: ECR_AUDIT_IMAGE_TAGS left it out.
            ("outcome", pa.string()),
            ("error_code", pa.string()),
            ("error_message", pa.string()),
            # Null where the read is not complete.
            ("tags", pa.int64()),
            # Null where that is not known.
            ("calls", pa.int64()),
            ("complete", pa.bool_()),
            # Complete, and there was an earlier read of the same repository to compare with.
            ("compared", pa.bool_()),
            # When the read was tried last, in an earlier night where it was not reached in this one; null: never.
            ("read_at", TIMESTAMP),
            # The last complete read up to this night, and the repository as it was then.
            ("complete_at", TIMESTAMP),
            ("complete_tags", pa.int64()),
            ("created_at", TIMESTAMP),
            ("image_tag_mutability", pa.string()),
            ("exclusion_filters", pa.list_(pa.string())),
            # Since the read before that it was compared with; null where it was not compared.
            ("tags_added", pa.int64()),
            ("tags_removed", pa.int64()),
            # Those of the last 30 nights, up to this one, with a complete read, and with a comparison.
            ("read_nights", pa.list_(pa.date32())),
            ("compared_nights", pa.list_(pa.date32())),
            # In those 30 nights, of tag_moves; tags count once. The lists have those that moved last, see
            # sql/image_tags/recent_moves.sql.
            ("moves", pa.int64()),
            ("tags_moved", pa.int64()),
            ("release_tags_moved", pa.int64()),
            ("tags_moved_though_immutable", pa.int64()),
            ("last_moved_at", TIMESTAMP),
            ("moved_release_tags", pa.list_(pa.string())),
            ("moved_immutable_tags", pa.list_(pa.string())),
        ]
    ),
    ("account_id", "repository_arn"),
    since=7,
    identified_by=("repository_arn",),
)

# A tag that was overwritten between two complete reads of its repository. Those that were only added or removed are far
# more: image_tag_reads counts them, and image_tags has them for as long as snapshots are kept.
TAG_MOVES = LakeTable(
    "tag_moves",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("account_name", pa.string()),
            ("ou_id", pa.string()),
            ("ou_path", pa.string()),
            ("region", pa.string()),
            ("repository_name", pa.string()),
            ("repository_arn", pa.string()),
            ("owner", pa.string()),
            ("owner_source", pa.string()),
            ("tag", pa.string()),
            ("is_release", pa.bool_()),
            # moved, moved_though_immutable, moved_back.
            ("kind", pa.string()),
            ("old_digest", pa.string()),
            ("new_digest", pa.string()),
            # The two reads.
            ("seen_before", TIMESTAMP),
            ("seen_after", TIMESTAMP),
            # The repository's image_tag_mutability at the two reads.
            ("setting_before", pa.string()),
            ("setting_after", pa.string()),
        ]
    ),
    ("account_id", "repository_arn", "tag"),
    since=7,
    identified_by=("repository_arn", "tag"),
)

# Who overwrote a tag, by the organization's trail: of ECR_AUDIT_CLOUDTRAIL, a stage of its own after the moves.
TAG_ACTORS = LakeTable(
    "tag_actors",
    pa.schema(
        [
            ("account_id", pa.string()),
            ("repository_arn", pa.string()),
            ("tag", pa.string()),
            # With these it belongs to a move, which reading the night's tags again replaces.
            ("new_digest", pa.string()),
            ("seen_after", TIMESTAMP),
            # The last push of new_digest between the two reads; null where the trail has none.
            ("actor", pa.string()),
            ("moved_at", TIMESTAMP),
            ("source_address", pa.string()),
            ("user_agent", pa.string()),
            ("event_id", pa.string()),
            # For tags that moved though the setting forbade it: the calls that made it possible, and the one that
            # ended that.
            ("deleted_by", pa.string()),
            ("deleted_at", TIMESTAMP),
            ("opened_by", pa.string()),
            ("opened_at", TIMESTAMP),
            ("closed_by", pa.string()),
            ("closed_at", TIMESTAMP),
            # FOUND, NOT_FOUND, PENDING, NOT_READ, LEFT_OUT.
            ("trail_outcome", pa.string()),
            ("trail_message", pa.string()),
        ]
    ),
    ("account_id", "repository_arn", "tag"),
    since=7,
    identified_by=("repository_arn", "tag"),
)
