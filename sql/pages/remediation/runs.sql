-- runs: one page of the remediation plans that were put to a person, one row each, the newest first.
-- key: plan_id.  from: remediation_approvals, remediation_actions.
-- outcomes: how many repositories ended in each outcome, empty where nothing was tried; taken_back_by: the plan that gave
-- repositories of it their earlier settings, the last of several.
WITH counted AS (
    SELECT
        plan_id,
        list({'outcome': outcome, 'repositories': repositories} ORDER BY repositories DESC, outcome) AS outcomes
    FROM (SELECT plan_id, outcome, count(*) AS repositories FROM remediation_actions GROUP BY plan_id, outcome)
    GROUP BY plan_id
),

taken_back AS (
    SELECT
        rollback_of AS plan_id,
        arg_max(plan_id, acted_at) AS taken_back_by
    FROM remediation_actions
    WHERE rollback_of IS NOT NULL AND outcome = 'DONE'
    GROUP BY rollback_of
)

SELECT
    remediation_approvals.* REPLACE (
        planned_at AT TIME ZONE 'UTC' AS planned_at,
        answered_at AT TIME ZONE 'UTC' AS answered_at
    ),
    coalesce(outcomes, []) AS outcomes,
    taken_back_by
FROM remediation_approvals
LEFT JOIN counted USING (plan_id)
LEFT JOIN taken_back USING (plan_id)
WHERE $plan_id IS NULL OR plan_id = $plan_id
ORDER BY remediation_approvals.planned_at DESC, plan_id
