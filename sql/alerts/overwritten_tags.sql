-- overwritten_tags: one row per repository with release tags that were overwritten since the night before, or tags that were
-- though the setting forbade it, most tags first.
-- key: repository_arn.  from: tag_moves, findings, publication.
-- Each move is reported once: by the first publication with the image tags of its night. Those of a repository whose finding
-- is waived are left out. At most $shown rows, each with $examples tags; all_releases and all_forbidden are the totals.
WITH waived AS (
    SELECT
        repository_arn,
        bool_or(policy_id = '/ce/ca/aws/ecr/repository-release-tag-moved') AS releases,
        bool_or(policy_id = '/ce/ca/aws/ecr/repository-tag-moved-though-immutable') AS forbidden
    FROM findings
    WHERE waived
    GROUP BY repository_arn
),

moves AS (
    SELECT
        m.*,
        m.is_release AND NOT coalesce(w.releases, FALSE) AS is_reported_release,
        m.kind = 'moved_though_immutable' AND NOT coalesce(w.forbidden, FALSE) AS is_reported_forbidden
    FROM tag_moves AS m
    CROSS JOIN publication AS p
    LEFT JOIN waived AS w USING (repository_arn)
    WHERE m.snapshot_date > coalesce(p.previous_image_tags_date, p.image_tags_date - 1)
),

by_repository AS (
    SELECT
        repository_arn,
        any_value(repository_name) AS repository_name,
        any_value(account_id) AS account_id,
        any_value(account_name) AS account_name,
        any_value(ou_path) AS ou_path,
        any_value(region) AS region,
        arg_max(owner, snapshot_date) AS owner,
        count(*) AS tags,
        count(*) FILTER (WHERE is_reported_release) AS releases,
        count(*) FILTER (WHERE is_reported_forbidden) AS forbidden,
        list(
            {tag: tag, kind: kind, old_digest: old_digest, new_digest: new_digest}
            ORDER BY is_reported_forbidden DESC, tag, snapshot_date
        )[:$examples] AS moves
    FROM moves
    WHERE is_reported_release OR is_reported_forbidden
    GROUP BY repository_arn
)

SELECT
    *,
    sum(releases) OVER ()::BIGINT AS all_releases,
    sum(forbidden) OVER ()::BIGINT AS all_forbidden,
    count(*) OVER () AS all_rows
FROM by_repository
ORDER BY tags DESC, repository_name, account_id, region
LIMIT $shown
