-- Which repositories are immutable in name only, since their exclusion filters match every tag?
SELECT
    account_name,
    region,
    repository_name,
    owner,
    exclusion_filters
FROM repositories
WHERE image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
    AND overwritable_tags = 'all'
ORDER BY account_name, region, repository_name;
