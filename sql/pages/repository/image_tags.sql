-- image_tags: how the image tags of the repository of an ARN were read, and what moved, with all published columns.
-- key: repository_arn.  from: repository_image_tags.
SELECT
    * REPLACE (
        last_read_at AT TIME ZONE 'UTC' AS last_read_at,
        last_moved_at AT TIME ZONE 'UTC' AS last_moved_at
    )
FROM repository_image_tags
WHERE account_id = split_part($arn, ':', 5)
    AND region = split_part($arn, ':', 4)
    AND repository_arn = $arn
