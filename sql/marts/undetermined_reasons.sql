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

-- Why each facet of an object does not stand for the night.
unread AS (
    SELECT
        repository_arn AS object_id,
        scanning_unread AS scanning,
        keys_unread AS keys,
        lifecycle_unread AS lifecycle,
        policies_unread AS policies,
        NULL::VARCHAR AS registries
    FROM staging.repositories
    WHERE coalesce(scanning_unread, keys_unread, lifecycle_unread, policies_unread) IS NOT NULL
    UNION ALL BY NAME
    SELECT
        registry_arn AS object_id,
        registries_unread AS registries
    FROM staging.registries
    WHERE registries_unread IS NOT NULL
),

-- Counted before facets are told apart: by default some facets are read of no repository, and a million have one cause.
not_read AS (
    SELECT
        o.policy_id,
        o.account_id,
        u.scanning,
        u.keys,
        u.lifecycle,
        u.policies,
        u.registries,
        i.moves_unknown AS image_tags,
        count(*) AS objects
    FROM undetermined AS o
    LEFT JOIN catalog.policies AS p USING (policy_id)
    LEFT JOIN unread AS u USING (object_id)
    LEFT JOIN staging.repository_image_tags AS i
        ON i.repository_arn = CASE WHEN list_contains(p.facets, 'image_tags') THEN o.object_id END
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
            [
                {facet: 'scanning', cause: n.scanning},
                {facet: 'keys', cause: n.keys},
                {facet: 'lifecycle', cause: n.lifecycle},
                {facet: 'policies', cause: n.policies},
                {facet: 'registries', cause: n.registries},
                {facet: 'image_tags', cause: n.image_tags}
            ],
            lambda each: each.cause IS NOT NULL AND list_contains(p.facets, each.facet)
        ) AS facets
    FROM not_read AS n
    LEFT JOIN catalog.policies AS p USING (policy_id)
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
