-- trend: one row per night of the last year: the account's compliance under a policy, and its coverage.
-- key: snapshot_date.  from: compliance_daily.
SELECT
    snapshot_date,
    compliance_percent,
    coverage_percent
FROM compliance_daily
WHERE policy_id = $policy_id
    AND scope_type = 'account'
    AND scope_id = $account_id
    AND snapshot_date > (SELECT max(snapshot_date) - INTERVAL 1 YEAR FROM publication)
ORDER BY snapshot_date
