-- undetermined_reasons: one row per policy and reason why objects are UNDETERMINED under it.
-- key: policy_id, reason, facet, cause.  from: lake.policy_output, staging.repositories, staging.registries,
-- staging.repository_image_tags, catalog.policies.
--   not_seen       the object's account and region were not read
--   not_read       a facet that the policy reads does not stand for this night, for the `cause`: AWS's error code, the setting
--                  that leaves it out, or that its turn has not come yet
--   unknown_value  the policy does not know the value
-- facet and cause are NULL for other reasons than not_read. An object for which several facets do not stand counts for
-- each of them.
WITH undetermined AS NOT MATERIALIZED (
    SELECT
        policy_id,
        object_id,
        account_id,
        undetermined_reason(status, condition_index) AS reason
    FROM lake.policy_output
    WHERE status = 'UNDETERMINED'
),

-- Why each facet of an object does not stand for the night. Objects are joined by hashes of their ARNs, within accounts,
-- and have that of their causes: by default some facets are read of no repository, and a million have one cause.
unread AS NOT MATERIALIZED (
    SELECT
        account_id,
        hash(repository_arn) AS object_key,
        [
            {facet: 'scanning', cause: scanning_unread},
            {facet: 'keys', cause: keys_unread},
            {facet: 'lifecycle', cause: lifecycle_unread},
            {facet: 'policies', cause: policies_unread}
        ] AS facets
    FROM staging.repositories
    UNION ALL
    SELECT
        account_id,
        hash(registry_arn) AS object_key,
        [{facet: 'registries', cause: registries_unread}] AS facets
    FROM staging.registries
),

causes AS (
    SELECT DISTINCT
        hash(facets) AS causes_key,
        facets
    FROM unread
),

not_read AS (
    SELECT
        o.policy_id,
        o.account_id,
        u.causes_key,
        i.moves_unknown AS image_tags,
        count(*) AS objects
    FROM undetermined AS o
    LEFT JOIN catalog.policies AS p USING (policy_id)
    LEFT JOIN (SELECT * EXCLUDE (facets), hash(facets) AS causes_key FROM unread) AS u
        ON u.account_id = o.account_id
        AND u.object_key = hash(o.object_id)
    LEFT JOIN staging.repository_image_tags AS i
        ON i.account_id = o.account_id
        AND hash(i.repository_arn) = CASE WHEN list_contains(p.facets, 'image_tags') THEN hash(o.object_id) END
    WHERE o.reason = 'not_read'
    GROUP BY ALL
),

-- The facets that a policy reads and that do not stand for the night.
lacking AS (
    SELECT
        n.policy_id,
        n.account_id,
        n.objects,
        list_filter(
            coalesce(u.facets, []) || [{facet: 'image_tags', cause: n.image_tags}],
            lambda each: each.cause IS NOT NULL AND list_contains(p.facets, each.facet)
        ) AS facets
    FROM not_read AS n
    LEFT JOIN catalog.policies AS p USING (policy_id)
    LEFT JOIN causes AS u USING (causes_key)
),

reasons AS (
    SELECT
        policy_id,
        account_id,
        objects,
        'not_read' AS reason,
        unnest(CASE WHEN facets = [] THEN [{facet: NULL, cause: NULL}] ELSE facets END, recursive := TRUE)
    FROM lacking
    UNION ALL BY NAME
    SELECT
        policy_id,
        account_id,
        reason,
        count(*) AS objects
    FROM undetermined
    WHERE reason <> 'not_read'
    GROUP BY ALL
)

SELECT
    $snapshot_date AS snapshot_date,
    policy_id,
    reason,
    facet,
    split_part(cause, ', last read on ', 1) AS cause,
    count(DISTINCT account_id) AS accounts,
    sum(objects)::BIGINT AS objects
FROM reasons
GROUP BY ALL
ORDER BY policy_id, reason, objects DESC, facet, cause
