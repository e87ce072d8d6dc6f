-- changed: one row per tag that changed between two complete reads of its repository, in the night of the later one.
-- key: repository_arn, tag.  from: staging.differences, staging.slice_reads, lake.previous_image_tags.
-- A tag that is set again after it was removed is compared with the digest that it pointed to last: deleting it for a
-- night is a way to overwrite it, too. old_digest is NULL for one that was never there, or not since intervals that ended
-- are kept; new_digest for one that is no longer there.
-- The first read of a repository has nothing to compare with, and nor has that of one that was deleted and created again.
WITH changed AS MATERIALIZED (
    -- Few tags change. Without MATERIALIZED, DuckDB looks for the earlier digests of all.
    SELECT
        d.repository_arn,
        d.tag,
        d.old_digest,
        d.new_digest,
        r.complete_before,
        r.created_at
    FROM staging.differences AS d
    JOIN staging.slice_reads AS r USING (repository_arn)
    WHERE r.compared
),

-- The digests that they had before old_digest, the last one last.
earlier AS (
    SELECT
        repository_arn,
        tag,
        array_agg(p.digest ORDER BY p.first_seen) AS digests,
        max(p.last_seen) AS last_seen
    FROM lake.previous_image_tags AS p
    JOIN changed AS c USING (repository_arn, tag)
    -- Not of a namesake that was deleted.
    WHERE NOT p.is_current AND c.new_digest IS NOT NULL AND coalesce(p.first_seen >= c.created_at, TRUE)
    GROUP BY repository_arn, tag
)

SELECT
    c.repository_arn,
    c.tag,
    coalesce(c.old_digest, e.digests[-1]) AS old_digest,
    c.new_digest,
    CASE WHEN c.old_digest IS NULL AND e.tag IS NOT NULL THEN e.last_seen ELSE c.complete_before END AS seen_before,
    coalesce(list_contains(e.digests, c.new_digest), FALSE) AS had_digest_before,
    c.old_digest IS NULL AS is_added,
    c.new_digest IS NULL AS is_removed
FROM changed AS c
LEFT JOIN earlier AS e ON e.repository_arn = c.repository_arn AND e.tag = c.tag
