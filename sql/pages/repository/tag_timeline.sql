-- tag_timeline: one row per digest that a tag of the repository is known to have pointed to, the newest first; none for one
-- that was never overwritten.
-- key: found, until.  from: tag_moves.
--   found    the read that found it there first; NULL: not known, since no move led there
--   until    the last read that found it there before it moved; NULL: no later move
--   kind     how it came there; actor and the columns after it: who moved it, by the organization's trail
WITH moves AS (
    SELECT
        *,
        coalesce(lag(new_digest) OVER (ORDER BY seen_after) <> old_digest, TRUE) AS comes_from_elsewhere,
        lead(old_digest) OVER (ORDER BY seen_after) AS next_old_digest,
        lead(seen_before) OVER (ORDER BY seen_after) AS next_seen_before
    FROM tag_moves
    WHERE account_id = split_part($arn, ':', 5)
        AND repository_arn = $arn
        AND tag = $tag
),

digests AS (
    SELECT
        * EXCLUDE (old_digest, new_digest, next_old_digest, next_seen_before, comes_from_elsewhere),
        new_digest AS digest,
        seen_after AS found,
        CASE WHEN next_old_digest = new_digest THEN next_seen_before END AS until
    FROM moves
    UNION ALL BY NAME
    -- The first, and that of a repository which was deleted and created again.
    SELECT
        old_digest AS digest,
        seen_before AS until,
        setting_before AS setting_after
    FROM moves
    WHERE comes_from_elsewhere
)

SELECT
    digest,
    kind,
    is_release,
    setting_before,
    setting_after,
    actor,
    source_address,
    user_agent,
    deleted_by,
    opened_by,
    closed_by,
    trail_outcome,
    found AT TIME ZONE 'UTC' AS found,
    until AT TIME ZONE 'UTC' AS until,
    moved_at AT TIME ZONE 'UTC' AS moved_at,
    deleted_at AT TIME ZONE 'UTC' AS deleted_at,
    opened_at AT TIME ZONE 'UTC' AS opened_at,
    closed_at AT TIME ZONE 'UTC' AS closed_at
FROM digests
ORDER BY coalesce(digests.found, digests.until) DESC
