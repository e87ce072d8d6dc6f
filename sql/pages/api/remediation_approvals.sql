-- remediation_approvals: one row per remediation plan that was put to a person, the newest first.
-- key: plan_id.  from: remediation_approvals.
SELECT * REPLACE (
    planned_at AT TIME ZONE 'UTC' AS planned_at,
    answered_at AT TIME ZONE 'UTC' AS answered_at
)
FROM remediation_approvals
ORDER BY remediation_approvals.planned_at DESC, plan_id
