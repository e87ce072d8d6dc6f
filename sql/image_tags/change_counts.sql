-- change_counts: one row per repository with tags that were added or removed since the read that this night's is compared with.
-- key: repository_arn.  from: staging.changed.
SELECT
    repository_arn,
    count(*) FILTER (WHERE is_added) AS tags_added,
    count(*) FILTER (WHERE is_removed) AS tags_removed
FROM staging.changed
GROUP BY repository_arn
