-- repositories: one row per ECR repository of the snapshot; with observed = false, one carried over from an earlier
-- snapshot because its target could not be read.
-- key: repository_arn.  from: lake.repositories.
-- variable: owner_tags, see tagged_owner in sql/macros.sql. `owner` is the owner named by the tags, or NULL:
-- sql/marts then take the account's name for it.
-- The only place where a repository's raw values are normalized, so that policies need not do it.
WITH repositories AS (
    SELECT
        * REPLACE (comparable(image_tag_mutability) AS image_tag_mutability),
        image_tag_mutability AS image_tag_mutability_raw,
        -- Older versions of the audit kept a filter without a pattern, which no message can name.
        coalesce(
            list_filter(
                list_transform(image_tag_mutability_exclusion_filters, lambda exclusion: exclusion.filter),
                lambda pattern: pattern IS NOT NULL
            ),
            []::VARCHAR[]
        ) AS exclusion_filters
    FROM lake.repositories
)

SELECT
    account_id,
    region,
    repository_name,
    repository_arn,
    repository_uri,
    created_at,
    image_tag_mutability,
    image_tag_mutability_raw,
    image_tag_mutability_exclusion_filters,
    exclusion_filters,
    CASE
        WHEN image_tag_mutability = 'MUTABLE' THEN 'all'
        WHEN image_tag_mutability = 'IMMUTABLE' THEN 'none'
        WHEN image_tag_mutability = 'MUTABLE_WITH_EXCLUSION' THEN 'all_but_listed'
        -- A filter of only `*` matches every tag: immutable in name only.
        WHEN image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
            AND len(list_filter(exclusion_filters, lambda filter: regexp_full_match(filter, '\*+'))) > 0 THEN 'all'
        WHEN image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION' THEN 'listed'
        ELSE 'unknown'
    END AS overwritable_tags,
    scan_on_push,
    encryption_type,
    kms_key,
    tags,
    known_reading_of_tags(tags_read_at, tags, collected_at) AS tags_read_at,
    tagged_owner(tags) AS owner,
    collected_at,
    observed,
    -- A facet's values, when they were read, and why they do not stand for this night.
    comparable(scan_frequency) AS scan_frequency,
    scan_filters,
    scanning_read_at,
    unread_because('scanning', scanning_read_at, collected_at, facets_failed) AS scanning_unread,
    comparable(kms_key_manager) AS kms_key_manager,
    keys_read_at,
    unread_because('keys', keys_read_at, collected_at, facets_failed) AS keys_unread,
    lifecycle_policy,
    lifecycle_read_at,
    unread_because('lifecycle', lifecycle_read_at, collected_at, facets_failed) AS lifecycle_unread,
    repository_policy,
    policies_read_at,
    unread_because('policies', policies_read_at, collected_at, facets_failed) AS policies_unread,
    facets_failed
FROM repositories
