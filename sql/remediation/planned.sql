-- planned: one row per repository with an open finding of a policy on image tag mutability.
-- key: repository_arn.  from: staging.mutability_findings, staging.repositories.
-- kept_filters are the exclusion filters that stay: those of an IMMUTABLE_WITH_EXCLUSION, but for one that matches every
-- tag. Those of MUTABLE_WITH_EXCLUSION name what must not move, which an immutable setting says of everything.
SELECT
    r.repository_arn,
    r.account_id,
    r.region,
    r.repository_name,
    r.image_tag_mutability,
    r.exclusion_filters,
    r.overwritable_tags,
    r.tags,
    r.tags_read_at,
    r.created_at,
    CASE
        WHEN r.image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
            THEN list_filter(r.exclusion_filters, lambda pattern: NOT regexp_full_match(pattern, '\*+'))
        ELSE []::VARCHAR[]
    END AS kept_filters
FROM staging.repositories AS r
SEMI JOIN staging.mutability_findings USING (repository_arn)
