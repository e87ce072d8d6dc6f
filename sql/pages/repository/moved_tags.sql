-- moved_tags: one row per tag of the repository that was overwritten, releases first, then those that move most.
-- key: tag.  from: tag_moves, repositories, publication.
-- moves: in the 30 nights up to the newest read; all_moves: in all nights. last_kind: how it was overwritten last.
SELECT
    tag,
    is_release,
    count(*) FILTER (WHERE snapshot_date > (SELECT image_tags_date FROM publication) - 30) AS moves,
    count(*) AS all_moves,
    max(seen_after) AT TIME ZONE 'UTC' AS last_moved_at,
    arg_max(kind, seen_after) AS last_kind
FROM tag_moves
WHERE account_id = split_part($arn, ':', 5)
    AND repository_arn = $arn
    -- Not those of a namesake that was deleted.
    AND coalesce(
        seen_before >= (
            SELECT created_at
            FROM repositories
            WHERE account_id = split_part($arn, ':', 5)
                AND region = split_part($arn, ':', 4)
                AND repository_arn = $arn
        ),
        TRUE
    )
GROUP BY tag, is_release
ORDER BY is_release DESC, moves DESC, last_moved_at DESC, tag
LIMIT $shown
