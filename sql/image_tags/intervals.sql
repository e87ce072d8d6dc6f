-- intervals: one row per interval in which a tag pointed at a digest, up to this night.
-- key: repository_arn, tag, first_seen.  from: staging.compared, lake.previous_image_tags.
-- parameter: oldest, the time (UTC) up to which intervals that have ended are left out.
-- Those of a repository that was not read completely stay as they are; those of a repository that is gone have ended.
SELECT
    account_id,
    repository_arn,
    tag,
    digest,
    first_seen,
    last_seen,
    FALSE AS is_current
FROM lake.previous_image_tags
WHERE NOT is_current AND last_seen >= $oldest
UNION ALL
SELECT
    account_id,
    repository_arn,
    tag,
    old_digest AS digest,
    first_seen,
    CASE WHEN goes_on THEN read_at ELSE last_seen END AS last_seen,
    goes_on OR NOT (is_gone OR complete) AS is_current
FROM staging.compared
WHERE old_digest IS NOT NULL
UNION ALL
SELECT
    account_id,
    repository_arn,
    tag,
    new_digest AS digest,
    read_at AS first_seen,
    read_at AS last_seen,
    TRUE AS is_current
FROM staging.compared
WHERE new_digest IS NOT NULL
ORDER BY account_id, repository_arn, tag, first_seen
