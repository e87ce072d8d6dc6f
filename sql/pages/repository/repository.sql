-- repository: the repository of an ARN, with all published columns.
-- key: repository_arn.  from: repositories.
-- Account and region are parts of an ARN; the table is sorted by them, so that little of it is read.
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
WHERE account_id = split_part($arn, ':', 5)
    AND region = split_part($arn, ':', 4)
    AND repository_arn = $arn
