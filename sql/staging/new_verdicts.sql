-- new_verdicts: one row per verdict with a status since today, of policies that have evaluated before: all changes
-- are among them.
-- key: policy_id, object_id.  from: lake.policy_output, lake.previous_policy_run.
-- Few verdicts change in a night: queries on changes read these few rows, not all verdicts again.
-- Without the texts on remediation, the largest columns, which changes do not need.
SELECT * EXCLUDE (remediation_message, remediation_command)
FROM lake.policy_output
SEMI JOIN lake.previous_policy_run USING (policy_id)
WHERE status_date = $snapshot_date
