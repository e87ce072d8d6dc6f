-- image_tags: one row per matching repository whose image tags are read; a NULL parameter matches everything.
-- key: repository_arn.  from: repository_image_tags.
SELECT * REPLACE (
    last_read_at AT TIME ZONE 'UTC' AS last_read_at,
    last_moved_at AT TIME ZONE 'UTC' AS last_moved_at
)
FROM repository_image_tags
WHERE ($account IS NULL OR account_id = $account)
    AND ($region IS NULL OR region = $region)
    AND ($ou IS NULL OR is_in_unit(ou_path, $ou))
    AND ($owner IS NULL OR owner = $owner)
    AND ($nothing_moved IS NULL OR nothing_moved = $nothing_moved)
ORDER BY account_id, region, repository_name
