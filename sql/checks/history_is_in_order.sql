-- severity: fail
-- A stretch begins before it ends, neither lies in the future, and what is INCOMPLIANT today is within an open one.
SELECT
    policy_id,
    object_id,
    status,
    status_date,
    incompliant_start_date,
    incompliant_end_date
FROM lake.policy_output
WHERE status_date IS NULL
    OR status_date > $snapshot_date
    OR incompliant_start_date > $snapshot_date
    OR incompliant_end_date > $snapshot_date
    OR incompliant_end_date < incompliant_start_date
    OR (incompliant_start_date IS NULL AND (incompliant_end_date IS NOT NULL OR started_known IS NOT NULL))
    OR (status = 'INCOMPLIANT' AND (incompliant_start_date IS NULL OR incompliant_end_date IS NOT NULL))
