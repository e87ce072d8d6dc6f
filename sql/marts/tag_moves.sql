-- tag_moves: one row per tag that changed between two complete reads of its repository, in the night of the later one.
-- key: repository_arn, tag.  from: staging.compared, staging.reads, lake.previous_image_tags.
--   moved                   points at another digest: it was overwritten, as the setting allowed
--   moved_though_immutable  the same, though the setting forbade it at both reads: the tag was deleted and pushed again,
--                           or the setting was changed and changed back in between
--   moved_back              moved to a digest that it had before
--   added                   was not there at the read before: not an overwrite
--   removed                 is no longer there: not an overwrite
-- seen_before and seen_after are the times of the two reads: what happened twice in between is not seen. The first read
-- of a repository has nothing to compare with, and nor has that of one which was deleted and created again.
WITH changed AS MATERIALIZED (
    -- Few tags change. Without MATERIALIZED, DuckDB looks for the earlier digests of all.
    SELECT
        c.tag,
        c.old_digest,
        c.new_digest,
        r.*,
        forbids_overwriting(r.setting_before, r.filters_before, c.tag)
            AND forbids_overwriting(r.image_tag_mutability, r.exclusion_filters, c.tag) AS is_forbidden
    FROM staging.compared AS c
    JOIN staging.reads AS r USING (repository_arn)
    WHERE r.compared AND c.old_digest IS DISTINCT FROM c.new_digest
),

earlier AS (
    SELECT DISTINCT
        repository_arn,
        tag
    FROM lake.previous_image_tags AS p
    JOIN changed AS c USING (repository_arn, tag)
    -- Not of a namesake that was deleted.
    WHERE p.digest = c.new_digest AND coalesce(p.first_seen >= c.created_at, TRUE)
)

SELECT
    c.account_id,
    c.account_name,
    c.ou_id,
    c.ou_path,
    c.region,
    c.repository_name,
    c.repository_arn,
    c.owner,
    c.owner_source,
    c.tag,
    is_release_tag(c.tag) AS is_release,
    CASE
        WHEN c.new_digest IS NULL THEN 'removed'
        WHEN c.old_digest IS NULL THEN 'added'
        WHEN c.is_forbidden THEN 'moved_though_immutable'
        WHEN e.tag IS NOT NULL THEN 'moved_back'
        ELSE 'moved'
    END AS kind,
    c.old_digest,
    c.new_digest,
    c.complete_before AS seen_before,
    c.read_at AS seen_after,
    c.setting_before,
    c.image_tag_mutability AS setting_after
FROM changed AS c
LEFT JOIN earlier AS e ON e.repository_arn = c.repository_arn AND e.tag = c.tag
ORDER BY c.account_id, c.repository_arn, c.tag
