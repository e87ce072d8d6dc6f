-- first_readings: one row per policy and object that is INCOMPLIANT since today only because something that the policy reads
-- of it was read for the first time, and not because it changed.
-- key: policy_id, object_id.  from: staging.new_verdicts, staging.previous_verdicts, lake.repositories, lake.registries,
-- lake.previous_repositories, lake.previous_registries, catalog.policies.
-- So a facet that is read by rotation, or that a role allows since today, brings no night of new findings. A repository that
-- was created within the last turn is as new as its finding. variable: rotation_nights.
WITH wanted AS (
    SELECT
        v.policy_id,
        v.object_id,
        unnest(c.facets) AS facet
    FROM staging.new_verdicts AS v
    JOIN staging.previous_verdicts AS p
        ON p.policy_id = v.policy_id
        AND p.object_id = v.object_id
        AND NOT p.was_another
    JOIN catalog.policies AS c ON c.policy_id = v.policy_id
    WHERE v.status = 'INCOMPLIANT'
        AND p.status = 'UNDETERMINED'
        AND p.incompliant_start_date IS NULL
)

SELECT DISTINCT
    w.policy_id,
    w.object_id
FROM wanted AS w
JOIN lake.repositories AS r ON r.repository_arn = w.object_id
JOIN lake.previous_repositories AS b ON b.repository_arn = w.object_id
WHERE read_at_of(w.facet, b) IS NULL
    AND read_at_of(w.facet, r) IS NOT NULL
    AND coalesce(date_diff('day', r.created_at, $snapshot_date) >= getvariable('rotation_nights'), TRUE)
UNION
SELECT
    w.policy_id,
    w.object_id
FROM wanted AS w
JOIN lake.registries AS r ON r.registry_arn = w.object_id
JOIN lake.previous_registries AS b ON b.registry_arn = w.object_id
WHERE w.facet = 'registries'
    AND b.registries_read_at IS NULL
    AND r.registries_read_at IS NOT NULL
