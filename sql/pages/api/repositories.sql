-- repositories: one row per repository of a page of those that fit, by account, region and name.
-- key: repository_arn.  from: repositories, api/repositories_matching.
-- First which, then all of those few: a page far down takes no more memory so.
SELECT
    * REPLACE (
        created_at AT TIME ZONE 'UTC' AS created_at,
        tags_read_at AT TIME ZONE 'UTC' AS tags_read_at,
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
