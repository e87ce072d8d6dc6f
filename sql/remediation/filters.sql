-- filters: one row per repository in which tags were overwritten: the exclusion filters that let just these move.
-- key: repository_arn.  from: staging.moved_tags, staging.seen_tags.
-- A filter is a tag as it is, or a wildcard for a family of at least 3 tags that moved (see tag_families), unless it
-- matches a release tag that the repository has or had. A tag with several families belongs to the largest.
-- stopgap_filters protect releases alone, under MUTABLE_WITH_EXCLUSION: they match a release tag, and nothing that moves.
WITH families AS (
    SELECT
        repository_arn,
        family,
        count(*) AS tags
    FROM (SELECT repository_arn, unnest(tag_families(tag)) AS family FROM staging.moved_tags WHERE NOT is_kept)
    GROUP BY repository_arn, family
    HAVING count(*) >= 3
),

freeing_families AS (
    SELECT f.*
    FROM families AS f
    JOIN staging.seen_tags AS s USING (repository_arn)
    WHERE s.is_release AND s.tag GLOB f.family
),

safe_families AS (
    SELECT f.*
    FROM families AS f
    ANTI JOIN freeing_families USING (repository_arn, family)
),

chosen AS (
    SELECT
        m.repository_arn,
        m.tag,
        m.is_release,
        m.is_kept,
        coalesce(
            arg_max(f.family, {'tags': f.tags, 'family': f.family}) FILTER (WHERE m.tag GLOB f.family),
            m.tag
        ) AS tag_filter
    FROM staging.moved_tags AS m
    LEFT JOIN safe_families AS f USING (repository_arn)
    GROUP BY m.repository_arn, m.tag, m.is_release, m.is_kept
),

stopgaps AS (
    SELECT DISTINCT
        s.repository_arn,
        CASE WHEN s.tag GLOB 'v[0-9]*' THEN 'v*' WHEN s.tag GLOB '*.*' THEN '*.*' END AS tag_filter
    FROM staging.seen_tags AS s
    SEMI JOIN staging.moved_tags USING (repository_arn)
    WHERE s.is_release AND tag_filter IS NOT NULL
),

holding_stopgaps AS (
    SELECT s.*
    FROM stopgaps AS s
    JOIN staging.moved_tags AS m USING (repository_arn)
    WHERE m.tag GLOB s.tag_filter
),

harmless_stopgaps AS (
    SELECT
        s.repository_arn,
        list_sort(list(s.tag_filter)) AS stopgap_filters
    FROM stopgaps AS s
    ANTI JOIN holding_stopgaps USING (repository_arn, tag_filter)
    GROUP BY s.repository_arn
)

SELECT
    c.repository_arn,
    list_sort(list(c.tag)) AS moving_tags,
    list_sort(coalesce(list(c.tag) FILTER (WHERE c.is_release), [])) AS moving_release_tags,
    -- Literals first.
    list_sort(coalesce(list(DISTINCT c.tag_filter) FILTER (WHERE NOT c.is_kept AND NOT contains(c.tag_filter, '*')), []))
        || list_sort(coalesce(list(DISTINCT c.tag_filter) FILTER (WHERE NOT c.is_kept AND contains(c.tag_filter, '*')), []))
        AS needed_filters,
    any_value(h.stopgap_filters) AS stopgap_filters
FROM chosen AS c
LEFT JOIN harmless_stopgaps AS h USING (repository_arn)
GROUP BY c.repository_arn
