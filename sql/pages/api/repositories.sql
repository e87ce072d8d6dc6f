-- repositories: one page of the matching repositories, one row per repository, by account, region and name.
-- key: repository_arn.  from: repositories, api/repositories_matching.
-- Selects the keys first, then all columns of those few, so that a page far down takes no more memory.
SELECT
    * REPLACE (
        created_at AT TIME ZONE 'UTC' AS created_at,
        tags_read_at AT TIME ZONE 'UTC' AS tags_read_at,
        scanning_read_at AT TIME ZONE 'UTC' AS scanning_read_at,
        keys_read_at AT TIME ZONE 'UTC' AS keys_read_at,
        lifecycle_read_at AT TIME ZONE 'UTC' AS lifecycle_read_at,
        policies_read_at AT TIME ZONE 'UTC' AS policies_read_at,
        collected_at AT TIME ZONE 'UTC' AS collected_at
    )
FROM repositories
WHERE rowid IN (
    SELECT place
    FROM {api/repositories_matching}
    ORDER BY place
    LIMIT $page_size OFFSET $page_offset
)
ORDER BY account_id, region, repository_name
