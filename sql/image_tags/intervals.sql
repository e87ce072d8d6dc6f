-- intervals: one row per interval in which a tag pointed at a digest, up to this night.
-- key: repository_arn, tag, first_seen.  from: staging.differences, lake.previous_image_tags, staging.slice_reads.
-- parameter: oldest, the time (UTC) up to which intervals that have ended are left out.
-- Those of a repository that was not read completely stay as they are; those of a repository that is gone have ended.
SELECT
    p.account_id,
    repository_arn,
    tag,
    p.digest,
    p.first_seen,
    CASE WHEN p.is_current AND d.tag IS NULL AND r.complete THEN r.read_at ELSE p.last_seen END AS last_seen,
    p.is_current AND d.tag IS NULL AND r.repository_arn IS NOT NULL AS is_current
FROM lake.previous_image_tags AS p
LEFT JOIN (SELECT repository_arn, tag FROM staging.differences WHERE old_digest IS NOT NULL) AS d
    USING (repository_arn, tag)
LEFT JOIN staging.slice_reads AS r USING (repository_arn)
WHERE p.is_current OR p.last_seen >= $oldest
UNION ALL
SELECT
    account_id,
    repository_arn,
    tag,
    new_digest AS digest,
    read_at AS first_seen,
    read_at AS last_seen,
    TRUE AS is_current
FROM staging.differences
WHERE new_digest IS NOT NULL
ORDER BY account_id, repository_arn, tag, first_seen
