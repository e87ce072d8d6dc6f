-- repository_image_tags: one row per ECR repository of the snapshot: how its image tags were read last, and what moved in the
-- 30 nights up to that of the newest read of image tags before the evaluation.
-- key: repository_arn.  from: staging.repositories, lake.repositories, lake.image_tag_reads.
-- variable: image_tags, the setting ECR_AUDIT_IMAGE_TAGS of the night.
--   image_tags_unread  why what is known does not stand for this night, as the end of a sentence; NULL when it does: the
--                      last complete read is of the last 7 nights
--   moves_unknown      why it is not known whether tags moved: that, or nothing to compare with yet
--   is_left_out        ECR_AUDIT_IMAGE_TAGS is overwritable, and no tag of the repository can be overwritten
--   nothing_moved      NULL where that is not known
WITH last_reads AS (
    -- A repository that was created again since has not been read.
    SELECT t.*
    FROM lake.image_tag_reads AS t
    JOIN lake.repositories AS r USING (repository_arn)
    WHERE coalesce(t.created_at = r.created_at, TRUE)
),

known AS (
    SELECT
        r.repository_arn,
        r.account_id,
        r.region,
        r.repository_name,
        r.collected_at,
        getvariable('image_tags') = 'overwritable' AND r.overwritable_tags = 'none' AS is_left_out,
        t.repository_arn IS NOT NULL AS has_row,
        t.outcome,
        t.error_code,
        t.error_message,
        t.complete_tags AS tags,
        t.complete_at AS last_read_at,
        coalesce(len(t.read_nights), 0) AS nights_read,
        coalesce(len(t.compared_nights), 0) AS nights_compared,
        t.tags_added,
        t.tags_removed,
        coalesce(t.moves, 0) AS moves,
        coalesce(t.tags_moved, 0) AS tags_moved,
        coalesce(t.release_tags_moved, 0) AS release_tags_moved,
        coalesce(t.tags_moved_though_immutable, 0) AS tags_moved_though_immutable,
        t.last_moved_at,
        coalesce(t.moved_release_tags, []::VARCHAR[]) AS moved_release_tags,
        coalesce(t.moved_immutable_tags, []::VARCHAR[]) AS moved_immutable_tags
    FROM staging.repositories AS r
    LEFT JOIN last_reads AS t ON t.repository_arn = r.repository_arn
),

explained AS (
    SELECT
        *,
        CASE
            WHEN date_diff('day', last_read_at, collected_at) < image_tags_stand_nights() THEN NULL
            WHEN getvariable('image_tags') = 'off' THEN 'ECR_AUDIT_IMAGE_TAGS is off'
            WHEN is_left_out THEN 'ECR_AUDIT_IMAGE_TAGS is overwritable, and no tag can be overwritten'
            WHEN NOT has_row OR outcome IS NULL THEN 'not read yet'
            WHEN is_collected(outcome) THEN 'no newer night has read them'
            ELSE coalesce(error_code, outcome)
        END AS unread
    FROM known
)

SELECT
    * EXCLUDE (collected_at, has_row, unread),
    unread || coalesce(', last read on ' || strftime(last_read_at, '%Y-%m-%d'), '') AS image_tags_unread,
    coalesce(
        image_tags_unread,
        CASE nights_compared
            WHEN 0 THEN 'there is nothing to compare with yet, last read on ' || strftime(last_read_at, '%Y-%m-%d')
        END
    ) AS moves_unknown,
    CASE WHEN moves_unknown IS NULL THEN moves = 0 END AS nothing_moved
FROM explained
