-- actions: one row per approved plan that has the repository of an ARN: how its change ended, the newest first.
-- key: plan_id.  from: remediation_actions.
SELECT
    * REPLACE (
        created_at AT TIME ZONE 'UTC' AS created_at,
        acted_at AT TIME ZONE 'UTC' AS acted_at,
        verified_at AT TIME ZONE 'UTC' AS verified_at
    )
FROM remediation_actions
WHERE repository_arn = $arn
ORDER BY remediation_actions.acted_at DESC NULLS FIRST, snapshot_date DESC, plan_id
