-- new_verdicts: one row per verdict whose status holds since today: whatever changed is among them.
-- key: policy_id, object_id.  from: lake.policy_output.
-- A night of history changes little: what is asked only of changes reads these few rows, and not all verdicts again.
SELECT *
FROM lake.policy_output
WHERE status_date = $snapshot_date
