-- tag_moves: one page of the matching overwrites, one row each, the newest night first, in it release tags first.
-- key: snapshot_date, repository_arn, tag.  from: tag_moves, coverage, tag_moves/matching.
-- has_account: whether the account still has a page.
-- Sorts the keys alone first, then reads all columns of those few, so that a page far down takes no more memory.
WITH chosen AS (
    SELECT place
    FROM {tag_moves/matching}
    ORDER BY snapshot_date DESC, is_release DESC, place
    LIMIT $size OFFSET $offset
)

SELECT
    * REPLACE (
        seen_before AT TIME ZONE 'UTC' AS seen_before,
        seen_after AT TIME ZONE 'UTC' AS seen_after,
        moved_at AT TIME ZONE 'UTC' AS moved_at,
        deleted_at AT TIME ZONE 'UTC' AS deleted_at,
        opened_at AT TIME ZONE 'UTC' AS opened_at,
        closed_at AT TIME ZONE 'UTC' AS closed_at
    ),
    account_id IN (SELECT account_id FROM coverage) AS has_account
FROM tag_moves
WHERE rowid IN (SELECT place FROM chosen)
ORDER BY snapshot_date DESC, is_release DESC, rowid
