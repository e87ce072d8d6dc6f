-- recent_moves: one row per repository with tags that were overwritten in the last 30 nights, up to this one.
-- key: repository_arn.  from: lake.tag_moves_history, lake.tag_moves, staging.reads.
-- parameter: snapshot_date.
--   moved_release_tags, moved_immutable_tags   the tags that moved last, newest first, at most five
WITH moves AS (
    SELECT
        repository_arn,
        tag,
        is_release,
        kind,
        seen_before,
        seen_after
    FROM lake.tag_moves_history
    WHERE snapshot_date > $snapshot_date - recent_nights() AND snapshot_date < $snapshot_date
    UNION ALL
    SELECT
        repository_arn,
        tag,
        is_release,
        kind,
        seen_before,
        seen_after
    FROM lake.tag_moves
),

by_tag AS (
    SELECT
        m.repository_arn,
        m.tag,
        any_value(m.is_release) AS is_release,
        count(*) AS moves,
        max(m.seen_after) AS last_moved_at,
        max(m.seen_after) FILTER (WHERE m.kind = 'moved_though_immutable') AS last_moved_though_immutable_at
    FROM moves AS m
    JOIN staging.reads AS r USING (repository_arn)
    -- Not those of a namesake that was deleted.
    WHERE coalesce(m.seen_before >= r.created_at, TRUE)
    GROUP BY m.repository_arn, m.tag
)

SELECT
    repository_arn,
    sum(moves)::BIGINT AS moves,
    count(*) AS tags_moved,
    count(*) FILTER (WHERE is_release) AS release_tags_moved,
    count(last_moved_though_immutable_at) AS tags_moved_though_immutable,
    max(last_moved_at) AS last_moved_at,
    -- Aggregates that sort are slow for groups as many as these.
    min_by(tag, (-epoch_us(last_moved_at), tag), 5) FILTER (WHERE is_release) AS moved_release_tags,
    min_by(tag, (-epoch_us(last_moved_though_immutable_at), tag), 5)
        FILTER (WHERE last_moved_though_immutable_at IS NOT NULL) AS moved_immutable_tags
FROM by_tag
GROUP BY repository_arn
