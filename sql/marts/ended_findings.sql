-- ended_findings: one row per incompliant stretch that ended on the snapshot's date, as it was the snapshot before.
-- key: policy_id, object_id.  from: staging.new_verdicts, staging.previous_verdicts, lake.previous_accounts.
-- ended_by:
--   fixed           it complies now, or the policy no longer applies to it
--   disappeared     it was deleted, even if another one has its name today
--   account_closed  its account is no longer active, or has left the organization
-- Account, unit and owner are those of the snapshot before, when the finding was open.
WITH ended AS (
    SELECT
        p.*,
        CASE
            WHEN p.was_another OR o.status = 'DISAPPEARED' THEN 'disappeared'
            WHEN o.condition_index = condition_account_inactive() THEN 'account_closed'
            ELSE 'fixed'
        END AS ended_by
    FROM staging.previous_verdicts AS p
    LEFT JOIN staging.new_verdicts AS o USING (policy_id, object_id)
    WHERE is_finding(p.status, p.incompliant_start_date, p.incompliant_end_date)
        AND (p.was_another OR o.incompliant_end_date = $snapshot_date)
)

SELECT
    e.policy_id,
    e.object_id,
    e.account_id,
    a.account_name,
    a.ou_id,
    a.ou_path,
    e.region,
    e.owner,
    e.owner_source,
    e.incompliant_start_date,
    e.started_known,
    e.ended_by
FROM ended AS e
LEFT JOIN lake.previous_accounts AS a ON a.account_id = e.account_id
