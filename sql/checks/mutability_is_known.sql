-- severity: warn
-- Repositories with an unknown mutability value: AWS may have introduced a new one.
SELECT
    repository_arn,
    image_tag_mutability_raw
FROM staging.repositories
WHERE overwritable_tags = 'unknown'
