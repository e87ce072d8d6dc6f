-- severity: fail
-- stage: image_tags
-- An interval in which a tag pointed at a digest begins before it ends, and has both.
SELECT
    repository_arn,
    tag,
    digest,
    first_seen,
    last_seen
FROM lake.image_tags
WHERE digest IS NULL
    OR (first_seen <= last_seen) IS DISTINCT FROM TRUE
