-- due_records: one row per record that is due for Security Hub.
-- key: policy_id, object_id.  from: records, security_hub_imports.
-- Records that changed tonight, or since the last night in which their account and region took the findings; all of them
-- where there is no such night. Among the others one in thirty, by its id: Security Hub deletes a finding that is not
-- updated for 90 days, so that two turns out of three may be missed.
SELECT r.*
FROM {exports/records} AS r
LEFT JOIN security_hub_imports AS h USING (account_id, region)
WHERE h.imported_night IS NULL
    OR greatest(r.status_date, r.incompliant_start_date, r.incompliant_end_date)
    >= least(h.imported_night + 1, r.snapshot_date)
    OR ('0x' || left(r.finding_uid, 8))::BIGINT % 30 = date_diff('day', DATE '1970-01-01', r.snapshot_date) % 30
