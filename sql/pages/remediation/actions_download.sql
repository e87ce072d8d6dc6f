-- actions_download: one row per repository of a remediation plan that a person approved, with all columns of the table.
-- key: plan_id, repository_arn.  from: remediation_actions.
SELECT *
FROM remediation_actions
WHERE ($plan_id IS NULL OR plan_id = $plan_id)
    AND ($outcome IS NULL OR outcome = $outcome)
