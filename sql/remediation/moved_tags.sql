-- moved_tags: one row per tag that was overwritten, as far back as the moves are kept.
-- key: repository_arn, tag.  from: published.tag_moves, staging.planned.
-- is_kept: an exclusion filter that stays lets it move.
SELECT DISTINCT
    m.repository_arn,
    m.tag,
    m.is_release,
    len(list_filter(p.kept_filters, lambda pattern: m.tag GLOB pattern)) > 0 AS is_kept
FROM published.tag_moves AS m
JOIN staging.planned AS p USING (repository_arn)
WHERE m.kind NOT IN ('added', 'removed') AND coalesce(m.seen_before >= p.created_at, TRUE)
