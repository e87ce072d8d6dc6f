-- severity: warn
-- Repositories with a mutability value that nobody here knows: AWS may have introduced a new one.
SELECT
    repository_arn,
    image_tag_mutability_raw
FROM staging.repositories
WHERE overwritable_tags = 'unknown'
ORDER BY repository_arn
