-- image_tags: the one row with how many of the account's repositories had their image tags read, and what was overwritten in the
-- 30 nights up to the newest read.
-- from: repository_image_tags.
SELECT
    count(*) AS repositories,
    count(*) FILTER (WHERE image_tags_unread IS NULL) AS read,
    count(*) FILTER (WHERE nothing_moved) AS nothing_moved,
    count(*) FILTER (WHERE moves > 0) AS moved_repositories,
    coalesce(sum(tags_moved), 0)::BIGINT AS tags_moved,
    coalesce(sum(release_tags_moved), 0)::BIGINT AS release_tags_moved,
    coalesce(sum(tags_moved_though_immutable), 0)::BIGINT AS tags_moved_though_immutable,
    max(image_tags_date) - 29 AS first_night
FROM repository_image_tags
WHERE account_id = $account_id
