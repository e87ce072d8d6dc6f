-- tag_timeline: one row per digest that a tag of the repository is known to have pointed to, the newest first; none for one
-- that was never overwritten.
-- key: found, until.  from: tag_moves.
--   found    the read that found it there first; NULL: not known, since no move led there
--   until    the last read that found it there before it moved; NULL: no later move
--   kind     how it came there
WITH moves AS (
    SELECT
        *,
        lag(new_digest) OVER (ORDER BY seen_after) IS DISTINCT FROM old_digest AS comes_from_elsewhere,
        lead(old_digest) OVER (ORDER BY seen_after) AS next_old_digest,
        lead(seen_before) OVER (ORDER BY seen_after) AS next_seen_before
    FROM tag_moves
    WHERE account_id = split_part($arn, ':', 5)
        AND repository_arn = $arn
        AND tag = $tag
),

digests AS (
    SELECT
        new_digest AS digest,
        kind,
        is_release,
        seen_after AS found,
        CASE WHEN next_old_digest = new_digest THEN next_seen_before END AS until,
        setting_before,
        setting_after
    FROM moves
    UNION ALL
    -- The first, and that of a repository which was deleted and created again.
    SELECT
        old_digest AS digest,
        NULL AS kind,
        is_release,
        NULL AS found,
        seen_before AS until,
        NULL AS setting_before,
        setting_before AS setting_after
    FROM moves
    WHERE comes_from_elsewhere
)

SELECT * REPLACE (
    found AT TIME ZONE 'UTC' AS found,
    until AT TIME ZONE 'UTC' AS until
)
FROM digests
ORDER BY coalesce(digests.found, digests.until) DESC
