-- actions: one row per repository of a remediation plan that a person approved: its change, and how that ended.
-- key: plan_id, repository_arn.  from: remediation_actions, accounts.
-- A NULL parameter matches everything. What did not end well is first.
SELECT
    a.* REPLACE (
        created_at AT TIME ZONE 'UTC' AS created_at,
        acted_at AT TIME ZONE 'UTC' AS acted_at,
        verified_at AT TIME ZONE 'UTC' AS verified_at
    ),
    accounts.account_name
FROM remediation_actions AS a
LEFT JOIN accounts USING (account_id)
WHERE ($plan_id IS NULL OR plan_id = $plan_id)
    AND ($outcome IS NULL OR outcome = $outcome)
ORDER BY outcome IN ('DONE', 'ALREADY'), outcome, a.account_id, region, repository_name
