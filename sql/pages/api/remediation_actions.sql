-- remediation_actions: one row per repository of a plan that a person approved; a NULL parameter matches everything.
-- key: plan_id, repository_arn.  from: remediation_actions.
SELECT * REPLACE (
    created_at AT TIME ZONE 'UTC' AS created_at,
    acted_at AT TIME ZONE 'UTC' AS acted_at,
    verified_at AT TIME ZONE 'UTC' AS verified_at
)
FROM remediation_actions
WHERE ($plan_id IS NULL OR plan_id = $plan_id)
    AND ($outcome IS NULL OR outcome = $outcome)
    AND ($account IS NULL OR account_id = $account)
    AND ($repository IS NULL OR repository_arn = $repository)
ORDER BY snapshot_date DESC, plan_id, remediation_actions.account_id, region, repository_name
