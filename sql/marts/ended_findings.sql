-- ended_findings: one row per incompliant stretch that ended on the snapshot's date, as it was the snapshot before.
-- key: policy_id, object_id.  from: lake.policy_output, staging.recreated, staging.previous_owners, lake.previous_*.
-- ended_by:
--   fixed           it complies now, or the policy does not apply to it any more
--   disappeared     it was deleted, even if another one has its name today
--   account_closed  its account is not active any more, or has left the organization
-- Account, unit and owner are those of the snapshot before: of whoever had the finding.
WITH ended AS (
    SELECT
        policy_id,
        object_id,
        account_id,
        region,
        incompliant_start_date,
        CASE
            WHEN status = 'DISAPPEARED' THEN 'disappeared'
            WHEN condition_index = 399 THEN 'account_closed'
            ELSE 'fixed'
        END AS ended_by
    FROM lake.policy_output
    WHERE incompliant_end_date = $snapshot_date
    UNION ALL
    SELECT
        policy_id,
        object_id,
        account_id,
        region,
        incompliant_start_date,
        'disappeared' AS ended_by
    FROM lake.previous_policy_output
    SEMI JOIN staging.recreated USING (object_id)
    WHERE is_finding(status, incompliant_start_date, incompliant_end_date)
)

SELECT
    e.policy_id,
    e.object_id,
    e.account_id,
    a.account_name,
    a.ou_path,
    e.region,
    coalesce(w.owner, a.account_name, e.account_id) AS owner,
    e.incompliant_start_date,
    e.ended_by
FROM ended AS e
LEFT JOIN staging.previous_owners AS w ON w.object_id = e.object_id
LEFT JOIN lake.previous_accounts AS a ON a.account_id = e.account_id
