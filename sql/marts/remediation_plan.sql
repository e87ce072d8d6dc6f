-- remediation_plan: one row per open, unwaived finding of a policy on image tag mutability: the setting that its repository
-- can take without breaking a build, and the evidence for it. Nothing here writes to AWS.
-- key: policy_id, repository_arn.  from: staging.mutability_findings, published.repository_image_tags, staging.planned,
-- staging.seen_tags, staging.filters, staging.registries, lake.accounts.
-- variables: image_tags_known; remediation_nights, see ECR_AUDIT_REMEDIATION_NIGHTS.
-- Its rule is the first that holds. HOLD means that a person has to decide or to wait:
--   not_seen               HOLD: it could not be read in this night, or its setting is not known
--   waived                 HOLD: a waiver accepts another finding on its setting
--   pull_through           HOLD: a pull-through cache fills it, and refreshing an image overwrites its tag
--   pull_through_unknown   HOLD: the pull-through cache rules of its registry were not read
--   code_unknown           HOLD: its tags were not read, which say whether code owns the setting
--   named_by_owner         too little evidence, but its owner names the tags that move: see named_moving_tags
--   too_little_evidence    HOLD: its image tags were read in fewer nights than remediation_nights
--   release_moved          HOLD: a release tag was overwritten; it has a finding of its own
--   filter_frees_release   HOLD: an exclusion filter that it has, and that stays, matches a release tag
--   nothing_moved          no tag was overwritten
--   filters_fit            what was overwritten fits in 5 filters, none of which matches a release tag
--   filters_do_not_fit     HOLD: it takes more; stopgap_filters would protect its release tags until then
--   nothing_to_change      HOLD: it has this setting, and the policy wants another
-- Source of the limit: PutImageTagMutability, Amazon ECR API Reference: 1 to 5 filters.
WITH wanted AS (
    SELECT
        f.policy_id,
        f.repository_arn,
        f.status,
        f.owner,
        f.passing_mutability,
        EXISTS (
            FROM staging.mutability_findings AS o
            WHERE o.repository_arn = f.repository_arn AND o.waived
        ) AS is_waived
    FROM staging.mutability_findings AS f
    WHERE NOT f.waived
),

cached AS (
    SELECT
        p.repository_arn,
        bool_or(
            starts_with(p.repository_name, rule.prefix || '/') OR rule.prefix = 'ROOT'
        ) AS pull_through
    FROM staging.planned AS p
    JOIN (SELECT account_id, region, unnest(pull_through_rules) AS rule FROM staging.registries) AS r
        USING (account_id, region)
    GROUP BY p.repository_arn
),

known AS (
    SELECT
        w.policy_id,
        w.owner,
        w.passing_mutability,
        p.*,
        CASE WHEN g.registries_unread IS NULL AND g.registry_arn IS NOT NULL THEN coalesce(c.pull_through, FALSE) END
            AS pull_through,
        CASE WHEN p.tags_read_at IS NOT NULL THEN managed_by(p.tags, p.repository_name) END AS managed_by,
        coalesce(i.nights_read, 0) AS evidence_nights,
        i.tags AS image_tags,
        coalesce(f.moving_tags, []) AS moving_tags,
        coalesce(f.moving_release_tags, []) AS moving_release_tags,
        f.stopgap_filters,
        w.status = 'INCOMPLIANT' AND p.overwritable_tags <> 'unknown' AS is_seen,
        w.is_waived,
        -- Older nights do not keep the tags, with which a filter has to be compared.
        coalesce(i.nights_read, 0) < getvariable('remediation_nights') OR NOT getvariable('image_tags_known') AS is_early,
        -- Only with too little evidence of its own: what was seen to move is not overruled.
        CASE WHEN is_early THEN named_moving_tags(p.tags) END AS named_tags,
        p.kept_filters || list_filter(
            coalesce(named_tags, f.needed_filters, []), lambda pattern: NOT list_contains(p.kept_filters, pattern)
        ) AS filters
    FROM wanted AS w
    JOIN staging.planned AS p USING (repository_arn)
    LEFT JOIN cached AS c USING (repository_arn)
    LEFT JOIN staging.registries AS g USING (account_id, region)
    LEFT JOIN published.repository_image_tags AS i USING (repository_arn)
    LEFT JOIN staging.filters AS f USING (repository_arn)
),

-- Tags that the proposed filters match, present and earlier ones.
matched AS (
    SELECT
        k.policy_id,
        k.repository_arn,
        count(*) FILTER (WHERE s.is_current AND is_matched) AS overwritable_after,
        count(*) FILTER (WHERE s.is_release) AS release_tags_seen,
        count(*) FILTER (WHERE s.is_release AND is_matched) AS freed_releases
    FROM known AS k
    JOIN staging.seen_tags AS s USING (repository_arn)
    CROSS JOIN LATERAL (
        SELECT len(list_filter(k.filters, lambda pattern: s.tag GLOB pattern)) > 0 AS is_matched
    )
    GROUP BY k.policy_id, k.repository_arn
),

ruled AS (
    SELECT
        k.*,
        coalesce(m.overwritable_after, 0) AS overwritable_after,
        m.release_tags_seen,
        CASE WHEN len(k.filters) = 0 THEN 'IMMUTABLE' ELSE 'IMMUTABLE_WITH_EXCLUSION' END AS setting,
        CASE
            WHEN NOT k.is_seen THEN 'not_seen'
            WHEN k.is_waived THEN 'waived'
            WHEN k.pull_through THEN 'pull_through'
            WHEN k.pull_through IS NULL THEN 'pull_through_unknown'
            WHEN k.tags_read_at IS NULL THEN 'code_unknown'
            WHEN k.is_early AND k.named_tags IS NULL THEN 'too_little_evidence'
            WHEN len(k.moving_release_tags) > 0 THEN 'release_moved'
            WHEN coalesce(m.freed_releases, 0) > 0 THEN 'filter_frees_release'
            WHEN len(k.filters) > 5
                OR len(list_filter(k.filters, lambda pattern: NOT regexp_full_match(pattern, '[0-9a-zA-Z._*-]{1,128}'))) > 0
                THEN 'filters_do_not_fit'
            WHEN setting = k.image_tag_mutability AND list_sort(k.filters) = list_sort(k.exclusion_filters)
                THEN 'nothing_to_change'
            WHEN k.named_tags IS NOT NULL THEN 'named_by_owner'
            WHEN len(k.moving_tags) = 0 THEN 'nothing_moved'
            ELSE 'filters_fit'
        END AS rule,
        rule NOT IN ('nothing_moved', 'filters_fit', 'named_by_owner') AS is_held
    FROM known AS k
    LEFT JOIN matched AS m USING (policy_id, repository_arn)
)

SELECT
    $snapshot_date AS snapshot_date,
    r.policy_id,
    r.repository_arn,
    r.account_id,
    a.account_name,
    a.ou_path,
    r.region,
    r.repository_name,
    r.owner,
    CASE WHEN is_held THEN 'HOLD' WHEN managed_by IS NULL THEN 'FIX_BY_API' ELSE 'FIX_IN_CODE' END AS action,
    r.rule,
    r.image_tag_mutability AS current_setting,
    r.exclusion_filters AS current_filters,
    CASE WHEN NOT is_held THEN setting END AS proposed_setting,
    CASE WHEN NOT is_held THEN filters END AS proposed_filters,
    CASE WHEN NOT is_held THEN list_contains(r.passing_mutability, setting) END AS closes_finding,
    CASE WHEN r.rule = 'filters_do_not_fit' THEN r.stopgap_filters END AS stopgap_filters,
    r.evidence_nights,
    r.moving_tags,
    r.moving_release_tags,
    r.managed_by,
    r.pull_through,
    r.image_tags,
    r.release_tags_seen,
    CASE WHEN NOT is_held THEN r.overwritable_after END AS overwritable_after,
    CASE
        WHEN NOT is_held AND managed_by IS NULL
            THEN mutability_command(r.region, r.account_id, r.repository_name, setting, filters)
    END AS command
FROM ruled AS r
LEFT JOIN lake.accounts AS a ON a.account_id = r.account_id
ORDER BY r.policy_id, r.account_id, r.region, r.repository_name
