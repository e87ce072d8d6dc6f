-- undetermined_reasons: one row per policy and reason why objects are UNDETERMINED under it.
-- key: policy_id, reason, facet, cause.  from: lake.policy_output, staging.repositories, staging.registries,
-- staging.repository_image_tags, catalog.policies.
--   not_seen       the object's account and region were not read
--   not_read       a facet that the policy reads does not stand for this night, for the `cause`: AWS's error code, the setting
--                  that leaves it out, or that its turn has not come yet
--   unknown_value  the policy does not know the value
-- facet and cause are NULL for other reasons than not_read. An object for which several facets do not stand counts for
-- each of them.
WITH undetermined AS (
    SELECT
        policy_id,
        object_id,
        account_id,
        undetermined_reason(status, condition_index) AS reason
    FROM lake.policy_output
    WHERE status = 'UNDETERMINED'
),

unread AS (
    SELECT
        repository_arn AS object_id,
        unnest(
            [
                {facet: 'scanning', cause: scanning_unread},
                {facet: 'keys', cause: keys_unread},
                {facet: 'lifecycle', cause: lifecycle_unread},
                {facet: 'policies', cause: policies_unread}
            ],
            recursive := TRUE
        )
    FROM staging.repositories
    UNION ALL BY NAME
    SELECT
        registry_arn AS object_id,
        'registries' AS facet,
        registries_unread AS cause
    FROM staging.registries
    UNION ALL BY NAME
    SELECT
        repository_arn AS object_id,
        'image_tags' AS facet,
        image_tags_unread AS cause
    FROM staging.repository_image_tags
),

-- The facets that a policy reads and that do not stand for the night.
lacking AS (
    SELECT
        o.policy_id,
        o.object_id,
        u.facet,
        split_part(u.cause, ', last read on ', 1) AS cause
    FROM undetermined AS o
    JOIN catalog.policies AS p ON p.policy_id = o.policy_id
    JOIN unread AS u ON u.object_id = o.object_id AND list_contains(p.facets, u.facet)
    WHERE o.reason = 'not_read'
        AND u.cause IS NOT NULL
)

SELECT
    $snapshot_date AS snapshot_date,
    o.policy_id,
    o.reason,
    l.facet,
    l.cause,
    count(DISTINCT o.account_id) AS accounts,
    count(*) AS objects
FROM undetermined AS o
LEFT JOIN lacking AS l USING (policy_id, object_id)
GROUP BY ALL
ORDER BY o.policy_id, o.reason, objects DESC, l.facet, l.cause
