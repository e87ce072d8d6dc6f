-- Which repositories are MUTABLE though nothing moved in them, so that making them immutable breaks no push, as far as nights
-- can see? Those come first for which that is known of most of the last 30 nights: `nights_compared`. A repository whose tags
-- were not read, or not with anything to compare, is not here.
SELECT
    t.account_id,
    t.account_name,
    t.region,
    t.repository_name,
    t.owner,
    t.nights_compared,
    t.tags,
    CAST(t.last_read_at AT TIME ZONE 'UTC' AS DATE) AS last_read_on
FROM repository_image_tags AS t
JOIN repositories AS r USING (repository_arn)
WHERE r.image_tag_mutability = 'MUTABLE'
    AND t.nothing_moved
ORDER BY t.nights_compared DESC, t.account_id, t.region, t.repository_name;
