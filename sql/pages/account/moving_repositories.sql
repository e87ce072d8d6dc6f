-- moving_repositories: one row per repository of the account with tags that were overwritten in the 30 nights up to the newest
-- read, those with releases and with most tags first.
-- key: repository_arn.  from: repository_image_tags.
SELECT
    repository_arn,
    repository_name,
    region,
    owner,
    tags_moved,
    release_tags_moved,
    moves,
    last_moved_at AT TIME ZONE 'UTC' AS last_moved_at
FROM repository_image_tags
WHERE account_id = $account_id
    AND moves > 0
ORDER BY release_tags_moved DESC, tags_moved DESC, repository_name, region
LIMIT $shown
