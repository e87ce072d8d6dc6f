-- seen_tags: one row per tag that a repository has, or had within the retention of the image tags: of repositories for which
-- exclusion filters come into question.
-- key: repository_arn, tag.  from: lake.image_tags, staging.planned, staging.moved_tags.
-- A tag of a namesake that was deleted says nothing about the repository.
SELECT
    t.repository_arn,
    t.tag,
    bool_or(t.is_current) AS is_current,
    is_release_tag(t.tag) AS is_release
FROM lake.image_tags AS t
JOIN staging.planned AS p USING (repository_arn)
WHERE coalesce(t.first_seen >= p.created_at, TRUE)
    AND (
        len(p.kept_filters) > 0
        OR named_moving_tags(p.tags) IS NOT NULL
        OR t.repository_arn IN (SELECT repository_arn FROM staging.moved_tags)
    )
GROUP BY t.repository_arn, t.tag
