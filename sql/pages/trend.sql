-- trend: one row per night of the last year: the organization's compliance under a policy, and its coverage.
-- key: snapshot_date.  from: compliance_daily.
SELECT
    snapshot_date,
    compliant,
    incompliant,
    undetermined,
    waived,
    compliance_percent,
    compliance_percent_with_waivers,
    coverage_percent
FROM compliance_daily
WHERE policy_id = $policy_id
    AND scope_type = 'organization'
    AND snapshot_date > (SELECT max(snapshot_date) - INTERVAL 1 YEAR FROM publication)
ORDER BY snapshot_date
