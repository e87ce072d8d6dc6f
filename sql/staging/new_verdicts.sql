-- new_verdicts: one row per verdict whose status holds since today, of policies that have evaluated before: whatever
-- changed is among them.
-- key: policy_id, object_id.  from: lake.policy_output, lake.previous_policy_run.
-- A night of history changes little: what is asked only of changes reads these few rows, and not all verdicts again.
-- Without the texts on remedies, which nothing asks of changes: they are the most to read.
SELECT * EXCLUDE (remediation_message, remediation_command)
FROM lake.policy_output
SEMI JOIN lake.previous_policy_run USING (policy_id)
WHERE status_date = $snapshot_date
