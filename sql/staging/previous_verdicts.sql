-- previous_verdicts: one row per verdict of the evaluated snapshot before that no longer holds: those that today's
-- new verdicts replace, and those on repositories recreated under the same name (was_another). Without their texts,
-- the largest columns, which nothing needs.
-- key: policy_id, object_id.  from: lake.previous_policy_output, staging.new_verdicts, staging.recreated,
-- lake.previous_policy_run, catalog.policies.
WITH wanted AS (
    SELECT
        policy_id,
        object_id,
        FALSE AS was_another
    FROM staging.new_verdicts
    ANTI JOIN staging.recreated USING (object_id)
    UNION ALL
    SELECT
        p.policy_id,
        r.object_id,
        TRUE AS was_another
    FROM staging.recreated AS r
    CROSS JOIN lake.previous_policy_run AS p
    SEMI JOIN catalog.policies AS c ON c.policy_id = p.policy_id
)

SELECT
    p.* EXCLUDE (current_state_message, remediation_message, remediation_command),
    w.was_another
FROM lake.previous_policy_output AS p
JOIN wanted AS w USING (policy_id, object_id)
WHERE p.status <> 'DISAPPEARED'
