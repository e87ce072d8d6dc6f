-- repositories: one row per ECR repository of the snapshot; with observed = false, one carried over from an earlier
-- snapshot because its target could not be read.
-- key: repository_arn.  from: lake.repositories, lake.accounts.
-- variable: owner_tags, see tagged_owner in sql/macros.sql.
-- The one place where a repository's raw values are made comparable, so that no policy has to do it again.
WITH repositories AS (
    SELECT
        * REPLACE (upper(trim(coalesce(image_tag_mutability, ''), E' \t\r\n')) AS image_tag_mutability),
        image_tag_mutability AS image_tag_mutability_raw,
        coalesce(
            list_transform(image_tag_mutability_exclusion_filters, lambda exclusion: exclusion.filter),
            []::VARCHAR[]
        ) AS exclusion_filters
    FROM lake.repositories
)

SELECT
    r.account_id,
    r.region,
    r.repository_name,
    r.repository_arn,
    r.repository_uri,
    r.created_at,
    r.image_tag_mutability,
    r.image_tag_mutability_raw,
    r.image_tag_mutability_exclusion_filters,
    r.exclusion_filters,
    CASE
        WHEN r.image_tag_mutability = 'MUTABLE' THEN 'all'
        WHEN r.image_tag_mutability = 'IMMUTABLE' THEN 'none'
        WHEN r.image_tag_mutability = 'MUTABLE_WITH_EXCLUSION' THEN 'all_but_listed'
        -- A filter of nothing but `*` matches every tag: immutable in name only.
        WHEN r.image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
            AND len(list_filter(r.exclusion_filters, lambda filter: regexp_full_match(filter, '\*+'))) > 0 THEN 'all'
        WHEN r.image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION' THEN 'listed'
        ELSE 'unknown'
    END AS overwritable_tags,
    r.scan_on_push,
    r.encryption_type,
    r.kms_key,
    r.tags,
    coalesce(tagged_owner(r.tags), a.account_name, r.account_id) AS owner,
    r.collected_at,
    r.observed
FROM repositories AS r
LEFT JOIN lake.accounts AS a USING (account_id)
